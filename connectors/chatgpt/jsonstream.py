"""The elements of a JSON array in a file, one at a time in memory.

Each element is decoded by the standard decoder, exactly as the network's answers are. Streaming parsers are as fast,
but turn half surrogate pairs into question marks and refuse large integers.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

CHUNK_BYTES = 1 << 20
UNDECIDED_CHARS = 16
"""An error this close to the end of what was read may be an element that goes on: a cut number, escape or literal."""

_SPACE = re.compile(r"[ \t\r\n]*")
_FOLLOWERS = frozenset(",] \t\r\n")


class BrokenJsonError(Exception):
    """The file is not a JSON array, or is one that ends too early."""


def elements(source: IO[bytes]) -> Iterator[Any]:
    """The elements of the array, in order.

    Memory holds one element and at most as much again.

    Raises:
        BrokenJsonError: at the place where the file stops making sense; the elements before it were handed out.
    """
    text = _Text(source)
    text.expect("[")
    if text.peek() == "]":
        return
    while True:
        yield text.value()
        if text.peek() == "]":
            return
        text.expect(",")


class _Text:
    """The file's text from the current place on, read as far as it is needed."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        self._decoder = json.JSONDecoder()
        self._held = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._held, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._held) or self._ended:
                return self._held[self._at : self._at + 1]
            self._more()

    def expect(self, character: str) -> None:
        """Pass over one character."""
        if self.peek() != character:
            raise BrokenJsonError(f"expected {character!r}")
        self._at += 1

    def value(self) -> Any:
        """Pass over one value and return it."""
        self.peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or self._is_near_the_end(error.pos)
                if self._ended or not is_cut:
                    raise BrokenJsonError(error.msg) from None
            except (ValueError, RecursionError) as error:
                raise BrokenJsonError(type(error).__name__) from None
            else:
                if self._held[end : end + 1] in _FOLLOWERS or not self._is_near_the_end(end):
                    self._at = end
                    return found
                if self._ended:
                    raise BrokenJsonError("it ends too early")
            self._more()

    def _is_near_the_end(self, position: int) -> bool:
        return position + UNDECIDED_CHARS >= len(self._held)

    def _more(self) -> None:
        """Read on: at least as much as is held, so that a large element is decoded only a few times in vain."""
        rest = self._held[self._at :]
        data = self._source.read(max(CHUNK_BYTES, len(rest)))
        self._ended = not data
        try:
            self._held = rest + self._decode.decode(data, final=self._ended)
        except UnicodeDecodeError:
            raise BrokenJsonError("not UTF-8") from None
        self._at = 0
