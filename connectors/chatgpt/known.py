"""The versions of a list's items that were handled, in eight bytes an item: what is new is told without any order."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

KEY_BYTES = 5
MARK_BYTES = 3
ENTRY_CHARS = 11
"""Characters that an item takes in a cursor, about."""
UNSETTLED = bytes(MARK_BYTES)
"""The mark of an item that is read again by the next walk."""


@dataclass(frozen=True)
class Item:
    """One list item: its id, its time (ms since 1970; None when unknown), what the list says of it, and of that what
    tells one version from the next (`told`)."""

    id: str
    time: int | None
    raw: dict[str, Any]
    told: tuple[Any, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict)
    """Fields that follow from the list that names it; believed once it was read there."""

    @property
    def filled(self) -> dict[str, Any]:
        """The list's word, with what follows from the list where it says nothing of it."""
        return self.raw | {name: value for name, value in self.own.items() if self.raw.get(name) is None}

    @property
    def key(self) -> bytes:
        """A short form of the id."""
        return blake2b(self.id.encode(), digest_size=KEY_BYTES).digest()

    @property
    def mark(self) -> bytes:
        """A short form of the version."""
        version = json.dumps([self.time, *self.told])
        return blake2b(version.encode(), digest_size=MARK_BYTES).digest()


class Known:
    """Item to the version that was handled, both in short forms."""

    def __init__(self, saved: Any = None) -> None:
        """`saved` is what a cursor holds; anything else is an empty one."""
        self._marks: dict[bytes, bytes] = {}
        size = KEY_BYTES + MARK_BYTES
        packed = b64decode(saved) if isinstance(saved, str) else b""
        for at in range(0, len(packed) - size + 1, size):
            self._marks[packed[at : at + KEY_BYTES]] = packed[at + KEY_BYTES : at + size]

    def __len__(self) -> int:
        return len(self._marks)

    def __contains__(self, key: bytes) -> bool:
        return key in self._marks

    def names(self, item: Item) -> bool:
        """Whether the item was handled, in whatever version."""
        return item.key in self._marks

    def holds(self, item: Item) -> bool:
        """Whether the item was handled in this very version."""
        return self._marks.get(item.key) == item.mark

    def add(self, item: Item, *, settled: bool = True) -> None:
        """The item was handled; one that is not `settled` is handed out again by the next walk."""
        self._marks[item.key] = item.mark if settled else UNSETTLED

    def keep(self, keys: Collection[bytes]) -> None:
        """Forget all items but these."""
        self._marks = {key: mark for key, mark in self._marks.items() if key in keys}

    def as_text(self) -> str:
        """The form that a cursor keeps."""
        return b64encode(b"".join(key + mark for key, mark in self._marks.items())).decode()
