"""The small members of an export: shared links, group chats, feedback and canvases, each a stream of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any

from connectors.chatgpt.export_file import Export
from connectors.chatgpt.export_members import COLLECTED
from connectors.chatgpt.fields import identity, iso
from connectors.chatgpt.jsonbytes import BrokenJsonError, decode
from connectors.chatgpt.small_rows import shared_conversation
from pdpp_worker.connector import WHOLE_STREAM, Message, Reason, Record, State, skip
from pdpp_worker.connector.json_fields import array, rest_of, table, tables, text

MOST_BYTES = 256 << 20
"""A member that is larger is not read: it is decoded whole."""
Row = dict[str, Any]
Now = Callable[[], datetime]


def import_items(stream: str, archive: Export, cursor: Row, fingerprint: str, now: Now) -> Iterator[Message]:
    """The items of a stream, unless this very export was read before."""
    if cursor.get("archive") == fingerprint:
        return
    rows: list[Row | None] = []
    for name in filter(COLLECTED[stream].fullmatch, archive.names()):
        try:
            rows += [ROWS[stream](item, name) for item in _items(archive, name)]
        except BrokenJsonError as error:
            yield skip(stream, Reason.PARSE_FAILED, WHOLE_STREAM, f"{name} is not whole JSON: {error}.")
            return
    usable = [row for row in rows if row is not None]
    for key, row in _by_key(usable):
        yield Record(stream=stream, key=key, data={**row, "id": key}, emitted_at=now())
    if len(usable) < len(rows):
        yield skip(stream, Reason.SHAPE_CHANGED, WHOLE_STREAM, "Items of the export have no usable id.")
        return
    yield State(stream=stream, cursor={**cursor, "archive": fingerprint})


def _items(archive: Export, name: str) -> list[Any]:
    """The items of a member: its array, the arrays of its object, or the one object that it is."""
    if archive.size(name) > MOST_BYTES:
        raise BrokenJsonError(f"it has more than {MOST_BYTES} bytes")
    with archive.open(name) as member:
        value = decode(member.read().removeprefix(b"\xef\xbb\xbf"))
    if isinstance(value, list):
        return value
    inner = [] if "id" in table(value) else [one for part in table(value).values() for one in tables(part)]
    return inner or [value]


def _by_key(rows: list[Row]) -> Iterator[tuple[str, Row]]:
    """The rows by their ids; another content under an id that is taken gets a key of its own."""
    taken: dict[str, Row] = {}
    for row in rows:
        key = row["id"]
        if taken.setdefault(key, row) != row:
            key = f"{key[:100]}#{_digest(row)}"
        yield key, row


def _digest(value: Any) -> str:
    return blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=10).hexdigest()


def _share(item: Any, _member: str) -> Row | None:
    return shared_conversation(item)


def _group_chat(item: Any, _member: str) -> Row | None:
    told = table(item)
    held = {"id", "title", "name", "messages", "created_at", "create_time", "updated_at", "update_time"}
    return _named(item) | {
        "title": text(told.get("title")) or text(told.get("name")),
        "messages": array(told.get("messages")),
        **_times(told),
        "extra": rest_of(told, held) or None,
    }


def _feedback(item: Any, member: str) -> Row | None:
    told = table(item)
    held = {"id", "conversation_id", "message_id", "rating", "created_at", "create_time", "updated_at", "update_time"}
    return _named(item) | {
        "kind": member.rpartition("/")[2].removesuffix(".json"),
        "conversation_id": text(told.get("conversation_id")),
        "message_id": text(told.get("message_id")),
        "rating": text(told.get("rating")),
        **_times(told),
        "extra": rest_of(told, held) or None,
    }


def _canvas(item: Any, _member: str) -> Row | None:
    told = table(item)
    held = {"id", "title", "name", "content", "conversation_id", "created_at", "create_time", "updated_at"}
    return _named(item) | {
        "title": text(told.get("title")) or text(told.get("name")),
        "content": text(told.get("content")),
        "conversation_id": text(told.get("conversation_id")),
        **_times(told),
        "extra": rest_of(told, held | {"update_time"}) or None,
    }


def _named(item: Any) -> Row:
    """The id; of an item without one a digest of what it holds."""
    return {"id": identity(table(item).get("id")) or _digest(item)}


def _times(told: Row) -> Row:
    names = {"created_at": ("created_at", "create_time"), "updated_at": ("updated_at", "update_time")}
    return {name: next(filter(None, (iso(told.get(one)) for one in given)), None) for name, given in names.items()}


ROWS: dict[str, Callable[[Any, str], Row | None]] = {
    "shared_conversations": _share,
    "group_chats": _group_chat,
    "feedback": _feedback,
    "canvases": _canvas,
}
ALONE = frozenset(ROWS) - {"shared_conversations"}
"""The streams that the network does not have."""
