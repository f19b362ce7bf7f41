"""The small streams, each read whole once a run: memories, custom GPTs, custom instructions and shared links.

An item that is no longer there is deleted, but only after a scan without any failure. A list that is suddenly empty is
more often a broken source than an emptied account, so it is believed only when the next run finds it empty too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from connectors.chatgpt import small_rows
from connectors.chatgpt.api import Api
from connectors.chatgpt.errors import ListEmptiedError
from connectors.chatgpt.listing import Page, Position, one_pass
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
    """A stream that is scanned whole; `optional`: 404 or 403 says that the account does not have the feature."""

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
    known, seen = set(strings(cursor.get("ids"))), set[str]()
    for row in _rows(stream, api, is_held=bool(known)):
        seen.add(row["id"])
        yield Record(stream=stream.name, key=row["id"], data=row, emitted_at=context.now())
    if known and not seen and cursor.get("emptied", start.run_id) == start.run_id:
        yield State(stream=stream.name, cursor={**cursor, "emptied": start.run_id})
        raise ListEmptiedError("nothing is there any more; that is believed when the next run finds the same")
    for key in sorted(known - seen):
        yield Record(stream=stream.name, key=key, data={"id": key}, emitted_at=context.now(), op="delete")
    yield State(stream=stream.name, cursor={"run_id": start.run_id, "ids": sorted(seen)})


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
    except (AuthExpired, Forbidden, Gone) as error:
        is_absent = isinstance(error, Gone) or error.status == FORBIDDEN
        if not (stream.optional and is_absent):
            raise
        if is_held:
            raise UpstreamError(str(error), status=error.status) from error


def _shares(api: Api) -> Iterator[Any]:
    unusable = 0

    def read(offset: int) -> Page:
        nonlocal unusable
        page = api.shares(offset)
        unusable += page.unusable
        return page

    yield from (step.item.raw for step in one_pass(read, Position()) if step.item is not None)
    yield from [None] * unusable


SMALL_STREAMS = (
    SmallStream("memories", Api.memories, small_rows.memory, optional=False),
    SmallStream("custom_gpts", Api.gizmos, small_rows.custom_gpt),
    SmallStream("custom_instructions", Api.instructions, small_rows.custom_instructions),
    SmallStream("shared_conversations", _shares, small_rows.shared_conversation),
)
