"""Bytes as they come from a pipe, cut into lines."""

from __future__ import annotations


class Lines:
    """Cuts chunks into lines. Only a line feed ends a line: U+2028 and its like stand in JSON text unescaped."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        """Bytes of the line that has not ended yet."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end in this chunk, without their ends."""
        first, *rest = chunk.split(b"\n")
        self._parts.append(first)
        self.size += len(first)
        if not rest:
            return []
        *whole, last = [b"".join(self._parts), *rest]
        self._parts, self.size = [last], len(last)
        return whole

    def rest(self) -> bytes:
        """What came after the last line feed; forgotten from then on."""
        left = b"".join(self._parts)
        self._parts, self.size = [], 0
        return left
