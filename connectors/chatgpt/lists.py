"""The small streams, each read whole once a run: memories, custom GPTs, custom instructions and shared links.

An item that is no longer there is said to be absent, by two runs one after the other, and only after a scan without any
failure whose count is the list's own. A list that is suddenly empty is more often a broken source than an emptied
account, so it is looked at only when the next run finds it empty too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from connectors.chatgpt import small_rows
from connectors.chatgpt.api import Api
from connectors.chatgpt.errors import ListEmptiedError, ListShortError
from connectors.chatgpt.listing import Seen, pages
from pdpp_worker.connector import (
    AuthExpired,
    Context,
    Forbidden,
    Gone,
    Message,
    Record,
    ShapeError,
    Start,
    State,
    UpstreamError,
)
from pdpp_worker.connector.json_fields import strings, table

FORBIDDEN = 403


@dataclass(frozen=True)
class SmallStream:
    """A stream that is scanned whole; `optional`: 403 says that the account does not have the feature."""

    name: str
    items: Callable[[Api], Iterator[Any]]
    row: Callable[[Any], dict[str, Any] | None]
    optional: bool = True


def scan(stream: SmallStream, start: Start, context: Context, api: Api) -> Iterator[Message]:
    """Read the stream whole, unless an earlier slice of this run has done so.

    Raises:
        ProviderError: it could not be read to its end.
    """
    cursor = table(start.cursor(stream.name))
    if cursor.get("run_id") == start.run_id:
        return
    known, doubted = set(strings(cursor.get("ids"))), set(strings(cursor.get("absent")))
    seen = set[str]()
    for row in _rows(stream, api, is_held=bool(known)):
        seen.add(row["id"])
        yield Record(stream=stream.name, key=row["id"], data=row, emitted_at=context.now())
    if known and not seen and cursor.get("emptied", start.run_id) == start.run_id:
        yield State(stream=stream.name, cursor={**cursor, "emptied": start.run_id})
        raise ListEmptiedError("nothing is there any more; that is believed when the next run finds the same")
    absent = (known | doubted) - seen
    for key in sorted(absent):
        data = {"id": key}
        yield Record(stream=stream.name, key=key, data=data, emitted_at=context.now(), op="delete", ground="absent")
    # Said once so far: it is to be said again, if it still holds.
    again = {"absent": sorted(absent - doubted)} if absent - doubted else {}
    yield State(stream=stream.name, cursor={"run_id": start.run_id, "ids": sorted(seen), **again})


def _rows(stream: SmallStream, api: Api, *, is_held: bool) -> Iterator[dict[str, Any]]:
    unusable = 0
    for raw in _items(stream, api, is_held=is_held):
        row = stream.row(raw)
        if row is None:
            unusable += 1
        else:
            yield row
    if unusable:
        raise ShapeError(f"{unusable} items have no usable id")


def _items(stream: SmallStream, api: Api, *, is_held: bool) -> Iterator[Any]:
    """The items; an account without the feature has none. A feature of which items are held has not gone: it fails."""
    try:
        yield from stream.items(api)
    except Gone as error:
        raise UpstreamError(str(error), status=error.status) from error
    except (AuthExpired, Forbidden) as error:
        if not (stream.optional and error.status == FORBIDDEN):
            raise
        if is_held:
            raise UpstreamError(str(error), status=error.status) from error


def _projects(api: Api) -> Iterator[Any]:
    """The projects of all workspaces; where the platform does not know workspaces, those of the session's own."""
    yield from api.projects
    with suppress(Forbidden, Gone):
        for workspace in (one for one in api.workspaces if one.is_active):
            for raw in api.within(workspace.id).projects:
                yield {**table(raw), "workspace_id": workspace.id}


def _shares(api: Api) -> Iterator[Any]:
    seen = Seen()
    for page in pages(api.shares, seen):
        yield from (item.raw for item in page.items if not seen.met(item))
    if not seen.is_whole or seen.admits_missing:
        raise ListShortError(f"the list names {seen.count}, counts {seen.total}, or its pages do not join")
    yield from [None] * len(seen.unusable)


SMALL_STREAMS = (
    SmallStream("memories", Api.memories, small_rows.memory, optional=False),
    SmallStream("projects", _projects, small_rows.project),
    SmallStream("custom_gpts", Api.gizmos, small_rows.custom_gpt),
    SmallStream("custom_instructions", Api.instructions, small_rows.custom_instructions),
    SmallStream("shared_conversations", _shares, small_rows.shared_conversation),
)
