"""Tells lines of one transcript apart that stand under one uuid.

The first keeps the plain key; another one with other bytes gets a digest of them in its key; one with the same bytes
is the same record. A uuid is remembered for so many bytes after its first line, so memory and cursor stay as they
are however long the file is; what a run remembers is read back from the file itself.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Any, NamedTuple

REACH_BYTES = 1024 * 1024
_DIGEST_BYTES = 8


class Good(NamedTuple):
    """A line that is a JSON object."""

    line: dict[str, Any]
    offset: int
    raw: bytes
    mark: str = ""
    """The difference from an earlier line of the same uuid."""
    is_copy: bool = False
    """Whether the same bytes stood there before."""


class Repeats:
    """The uuids of the lines before."""

    def __init__(self) -> None:
        self._seen: dict[str, bytes | dict[bytes, str]] = {}
        """The bytes of a uuid's only line; once there is a second one, the bytes of each, with its mark."""
        self._order: deque[tuple[int, str]] = deque()

    def place(self, good: Good) -> Good:
        """The same line with its mark."""
        uuid = good.line.get("uuid")
        if not isinstance(uuid, str):
            return good
        if self._order and self._order[0][0] < good.offset - REACH_BYTES:
            self._forget_before(good.offset - REACH_BYTES)
        known = self._seen.get(uuid)
        if known is None:
            self._seen[uuid] = good.raw
            self._order.append((good.offset, uuid))
            return good
        return self._again(good, uuid, known if isinstance(known, dict) else {known.strip(): ""})

    def _again(self, good: Good, uuid: str, variants: dict[bytes, str]) -> Good:
        self._seen[uuid] = variants
        content = good.raw.strip()
        if content in variants:
            return good._replace(mark=variants[content], is_copy=True)
        mark = variants[content] = f"~{blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()}"
        return good._replace(mark=mark)

    def _forget_before(self, offset: int) -> None:
        while self._order and self._order[0][0] < offset:
            del self._seen[self._order.popleft()[1]]
