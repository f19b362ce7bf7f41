"""The messages that tell the runtime how a conversation was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from connectors.chatgpt import rows
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import DetailCoverage, DetailGap, ProviderError, Record, detail_coverage, gap_for

Now = Callable[[], datetime]


def whole(key: str, item: dict[str, Any], detail: Conversation, now: Now) -> Iterator[Record]:
    """The records of a conversation that was read: its own row, then its messages."""
    row = rows.conversation(key, item, detail)
    yield Record(stream="conversations", key=key, data=row, emitted_at=now())
    for message in rows.messages(key, detail):
        yield Record(stream="messages", key=[key, message["id"]], data=message, emitted_at=now())


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


def gap(key: str, item: dict[str, Any], error: ProviderError, workspace: str | None = None) -> DetailGap:
    """A conversation whose messages could not be read, with all that is needed to ask for it again."""
    locator = {"kind": "chatgpt.conversation", "conversation_id": key, "item": rows.listed_fields(item)}
    locator |= {"workspace": workspace} if workspace is not None else {}
    return gap_for(error, "messages", key, parent_stream="conversations", detail_locator=locator)


def coverage(key: str, *, is_read: bool) -> DetailCoverage:
    """Accounts for the messages of a listed conversation: they were read, or are a gap."""
    return detail_coverage("messages", "conversations", key, is_read=is_read)
