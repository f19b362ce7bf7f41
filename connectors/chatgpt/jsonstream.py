"""The elements of a JSON array in a file, one at a time in memory, and as the bytes that they are."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO

from connectors.chatgpt.jsonbytes import BrokenJsonError, begin, end, end_before_alike

CHUNK_BYTES = 1 << 20
LONGEST_ELEMENT = 64 * 1024 * 1024
"""Largest element that is held, bytes; a conversation of 25 MB is the largest known."""
_GROWTH = 8
"""A part of what is held is read on at least, so that a large element is looked through a few times only."""


def elements(source: IO[bytes], *, wrapper: bytes = b"conversations") -> Iterator[bytes]:
    """The elements of the array, in order, as the bytes that they are; their brackets and quotes match, what is in
    them is not checked.

    The array may be the first member, named `wrapper`, of an object.

    Memory holds one element and little more.

    Raises:
        BrokenJsonError: at the byte where the file stops making sense; the elements before it were handed out.
    """
    held = _Held(source)
    if held.peek() == b"{":
        held.expect(b"{")
        if held.value() != b'"%s"' % wrapper:
            raise BrokenJsonError("expected an array")
        held.expect(b":")
    held.expect(b"[")
    if held.peek() == b"]":
        return
    while True:
        yield held.value()
        if held.peek() == b"]":
            return
        held.expect(b",")


class _Held:
    """The file from the current byte on, read as far as it is needed."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._data = bytearray()
        self._at = 0
        self._more()
        if self._data.startswith(codecs.BOM_UTF8):
            self._at = len(codecs.BOM_UTF8)

    def peek(self) -> bytes:
        """The next byte that is no space; empty at the end."""
        while True:
            self._at = begin(self._data, self._at)
            if self._at < len(self._data) or not self._more():
                return bytes(self._data[self._at : self._at + 1])

    def expect(self, mark: bytes) -> None:
        """Pass over one byte."""
        if self.peek() != mark:
            raise BrokenJsonError(f"expected {mark.decode()!r}")
        self._at += 1

    def value(self) -> bytes:
        """Pass over one value and return it."""
        self.peek()
        while (stop := self._end()) is None:
            if not self._more():
                raise BrokenJsonError("it ends too early")
            if len(self._data) > LONGEST_ELEMENT:
                raise BrokenJsonError(f"an element has more than {LONGEST_ELEMENT // 2**20} MB")
        if stop == self._at:
            raise BrokenJsonError("expected a value")
        with memoryview(self._data) as view:
            raw = bytes(view[self._at : stop])
        self._at = stop
        return raw

    def _end(self) -> int | None:
        return end_before_alike(self._data, self._at) or end(self._data, self._at)

    def _more(self) -> bool:
        """Read on, without what is passed; False at the end of the file."""
        del self._data[: self._at]
        self._at = 0
        piece = self._source.read(max(CHUNK_BYTES, len(self._data) // _GROWTH))
        self._data += piece
        return bool(piece)
