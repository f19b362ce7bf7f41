"""The messages that tell the runtime how a conversation was read."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import datetime
from typing import Any

from connectors.chatgpt import rows
from connectors.chatgpt.file_rows import Held, files
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import DetailCoverage, DetailGap, ProviderError, Record, detail_coverage, gap_for

Now = Callable[[], datetime]


def whole(key: str, item: dict[str, Any], detail: Conversation, now: Now, held: Held | None = None) -> Iterator[Record]:
    """The records of a conversation that was read: its own row, then its messages, and with `held` their files."""
    row = rows.conversation(key, item, detail)
    yield Record(stream="conversations", key=key, data=row, emitted_at=now())
    for message in rows.messages(key, detail):
        yield Record(stream="messages", key=[key, message["id"]], data=message, emitted_at=now())
    for file in files(key, detail, held) if held is not None else ():
        yield Record(stream="files", key=[key, file["message_id"], file["id"]], data=file, emitted_at=now())


def listed(key: str, item: dict[str, Any], now: Now) -> Record:
    """The list's fields of a conversation, to be merged over the record held."""
    data = rows.listed_conversation(key, item)
    return Record(stream="conversations", key=key, data=data, emitted_at=now(), partial=True)


def deleted(key: str, now: Now) -> Record:
    """The platform said that a conversation does not exist."""
    return Record(stream="conversations", key=key, data={"id": key}, emitted_at=now(), op="delete", ground="stated")


def vanished(key: str, names: Sequence[str], now: Now) -> Iterator[Record]:
    """Messages that are no longer in a tree that was read whole."""
    for name in names:
        data = {"id": name, "conversation_id": key}
        yield Record(stream="messages", key=[key, name], data=data, emitted_at=now(), op="delete", ground="absent")


def gap(
    key: str, item: dict[str, Any], error: ProviderError, children: Sequence[str], workspace: str | None = None
) -> Iterator[DetailGap]:
    """A conversation whose messages could not be read, with all that is needed to ask for it again; for each stream."""
    locator = {"kind": "chatgpt.conversation", "conversation_id": key, "item": rows.listed_fields(item)}
    locator |= {"workspace": workspace} if workspace is not None else {}
    for stream in children:
        yield gap_for(error, stream, key, parent_stream="conversations", detail_locator=locator)


def coverage(key: str, children: Sequence[str], *, is_read: bool) -> Iterator[DetailCoverage]:
    """Accounts for what hangs on a listed conversation: it was read, or is a gap."""
    for stream in children:
        yield detail_coverage(stream, "conversations", key, is_read=is_read)


def keys_of(key: str, detail: Conversation) -> dict[str, list[str]]:
    """The keys of the records that hang on a conversation that was read, by their streams."""
    parts = {
        "messages": [[name] for name in detail.message_ids],
        "files": [[row["message_id"], row["id"]] for row in files(key, detail, lambda _: {})],
    }
    return {
        stream: [json.dumps([key, *one], separators=(",", ":")) for one in named] for stream, named in parts.items()
    }


def children_in(streams: Container[str]) -> list[str]:
    """The streams among these that hang on conversations."""
    return [stream for stream in ("messages", "files") if stream in streams]
