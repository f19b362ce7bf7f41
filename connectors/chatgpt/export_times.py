"""The update times in which exports held their conversations, so that an older export never takes one back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import Any

from connectors.chatgpt.fields import millis
from connectors.chatgpt.known import Item, Known
from pdpp_worker.connector.json_fields import table

KEY_BYTES = 5
TIME_BYTES = 6
"""Of a time in milliseconds since 1970."""


class ExportTimes:
    """Conversation to the newest time in which an export held it, in eleven bytes each."""

    def __init__(self, saved: Any = None) -> None:
        """`saved` is what a cursor holds; anything else is an empty one."""
        self._entries: dict[bytes, bytes] = {}
        """The short form of a conversation to that and the time, as they are saved."""
        size = KEY_BYTES + TIME_BYTES
        packed = b64decode(saved) if isinstance(saved, str) else b""
        for at in range(0, len(packed) - size + 1, size):
            self._entries[packed[at : at + KEY_BYTES]] = packed[at : at + size]

    @property
    def chars(self) -> int:
        """The length of the saved form, about."""
        return len(self._entries) * (KEY_BYTES + TIME_BYTES) * 4 // 3

    def is_newer_than(self, conversation: str, update_time: Any) -> bool:
        """Whether an export held the conversation in a newer version."""
        entry = self._entries.get(_key(conversation), b"")
        return int.from_bytes(entry[KEY_BYTES:]) > (millis(update_time) or 0)

    def note(self, conversation: str, update_time: Any) -> None:
        """An export holds the conversation as it was at this time."""
        key, time = _key(conversation), min(millis(update_time) or 0, 256**TIME_BYTES - 1)
        self._entries[key] = key + time.to_bytes(TIME_BYTES)

    def as_text(self) -> str:
        """The form that a cursor keeps."""
        return b64encode(b"".join(self._entries.values())).decode()


class OnlineVersions:
    """The conversations that the network gave, as the cursor of its walks tells; an export may be older."""

    def __init__(self, cursor: dict[str, Any], *flags: str) -> None:
        """`cursor` is that of the stream; walks that did not read what one of the `flags` stands for do not count."""
        counts = all(cursor.get(flag) for flag in flags)
        lists = [table(saved) for saved in table(cursor.get("lists")).values()] if counts else []
        self._known = [(Known(saved.get("known")), millis(saved.get("whole_at"))) for saved in lists]

    def holds_as_new(self, conversation: str, update_time: Any) -> bool:
        """Whether a walk that came to the end of its list after that time held it: so this version, or a newer one."""
        item, time = Item(conversation, None, {}), millis(update_time) or 0
        return any(walked is not None and time < walked and known.names(item) for known, walked in self._known)


def _key(conversation: str) -> bytes:
    return blake2b(conversation.encode(), digest_size=KEY_BYTES).digest()
