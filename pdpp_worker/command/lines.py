"""Cuts the bytes of a pipe into lines."""

from __future__ import annotations

from pdpp_worker.command.outline import Outline


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
        """Return the bytes after the last line feed, and forget them."""
        left = b"".join(self._parts)
        self._parts, self.size = [], 0
        return left


class BoundedLines:
    """Cuts chunks into lines; of one that is longer than a limit only the outline is held."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of the longest line that is held."""
        self._limit = limit
        self._lines = Lines()
        self._outline: Outline | None = None

    @property
    def size(self) -> int:
        """Bytes of the line that has not ended yet."""
        return self._lines.size if self._outline is None else self._outline.size

    def feed(self, chunk: bytes) -> list[bytes | Outline]:
        """The lines that end in this chunk, without their ends; blank ones are left out."""
        found: list[bytes | Outline] = []
        if self._outline is not None:
            rest, end, chunk = chunk.partition(b"\n")
            self._outline.feed(rest)
            if not end:
                return []
            found.append(self._outline)
            self._outline = None
        found += [line for line in self._lines.feed(chunk) if line.strip()]
        if self._lines.size > self._limit:
            self._outline = Outline()
            self._outline.feed(self._lines.rest())
        return found

    def rest(self) -> bytes:
        """Return the bytes after the last line feed, as far as they are held, and forget them."""
        return self._lines.rest()
