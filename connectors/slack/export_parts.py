"""The parts of an export, whatever wrote it: Slack itself, or slackdump as export, dump or chunk files.

A part is a file, or a check over files. Reading it gives facts: a user, a channel, a message … as Slack's own object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from connectors.slack.errors import Unreadable
from connectors.slack.export_tree import Tree
from connectors.slack.fields import decoded, micros, text
from connectors.slack.rows import Obj
from pdpp_worker.connector.json_fields import table, tables


class Fact(NamedTuple):
    """Something that an export says."""

    kind: str
    """`user`, `channel`, `member`, `message`, `found` (a message of a search), `file`, `workspace`, `deleted` (a
    message), `missing` (a channel or thread that is not there whole), or `nameless` (it has no id
    or time of its own)."""
    channel: str
    raw: Obj
    before: tuple[Obj, ...] = ()
    """Earlier versions of a message, newest first."""


class Part(NamedTuple):
    """A part of an export."""

    name: str
    streams: tuple[str, ...]
    """The streams that it goes into."""
    read: Callable[[], Iterator[Fact]]
    """Raises ProviderError where it cannot be read whole."""
    channel: str = ""
    """The conversation that it is of; empty: it is not of one alone."""


def objects(tree: Tree, name: str) -> list[Any]:
    """The items of a JSON file that is one array.

    Raises:
        Unreadable: it is none.
    """
    found = decoded(tree.read(name))
    if not isinstance(found, list):
        raise Unreadable(f"{name} is no JSON array")
    return found


def messages_of(channel: str, found: list[Any]) -> Iterator[Fact]:
    """The messages of an array, the texts before an edit with those that the export logged."""
    first: dict[Any, Any] = {}
    for raw in found:
        if (ts := table(raw).get("ts")) is not None and not _is_log(raw) and first.setdefault(str(ts), raw) != raw:
            yield Fact("nameless", channel, {})
            continue
        logged = table(table(raw).get("message")) if _is_log(raw) else {}
        former = table(table(raw).get("previous_message")) or table(table(raw).get("original"))
        if micros(logged.get("ts")) is not None:
            yield Fact("message", channel, logged, (former,) if former else ())
        elif table(raw).get("subtype") == "message_deleted" and micros(former.get("ts")) is not None:
            yield Fact("message", channel, former)
            yield Fact("deleted", channel, former)
        elif micros(table(raw).get("ts")) is None:
            yield Fact("nameless", channel, {})
        else:
            yield Fact("message", channel, raw)


def _is_log(raw: Any) -> bool:
    """Whether an item only tells of another one."""
    return table(raw).get("subtype") in ("message_changed", "message_deleted")


def named(kind: str, found: list[Any], **more: Any) -> Iterator[Fact]:
    """The objects of an array that have an id; `more` is what their list says of all of them."""
    first: dict[str, Any] = {}
    for raw in found:
        key = text(table(raw).get("id"))
        if key is None or first.setdefault(key, raw) != raw:
            yield Fact("nameless", "", {})
            continue
        yield Fact(kind, raw["id"], {**more, **raw})
        if kind == "channel":
            yield from (Fact("member", raw["id"], {"id": one}) for one in table(raw).get("members") or () if text(one))


def short_threads(channel: str, messages: Iterator[Obj]) -> Iterator[Fact]:
    """The threads of a channel that hold fewer replies than their parents count."""
    counted: dict[str, int] = {}
    had: dict[str, set[str]] = {}
    for raw in messages:
        parent, ts = text(raw.get("thread_ts")), text(raw.get("ts"))
        if parent is None or ts is None:
            continue
        if parent == ts:
            count = raw.get("reply_count")
            counted[parent] = count if isinstance(count, int) else len(tables(raw.get("replies")))
        else:
            had.setdefault(parent, set()).add(ts)
    for parent, count in counted.items():
        if len(had.get(parent, ())) < count:
            yield Fact(
                "missing", f"{channel}:{parent}", {"why": f"it holds {len(had.get(parent, ()))} of {count} replies"}
            )
