"""An mbox cut into its mails, with memory for one of them at a time.

Programs disagree about a line of a mail that begins with `From `. Some write `>From ` (mboxo), some add a `>` to lines
that have one already too (mboxrd), some count the bytes instead (mboxcl2), some do nothing. So a line separates two
mails only if it looks like what a program writes, and a header follows. A count of bytes that leads to a separator is
believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

CHUNK = 1 << 20
"""Bytes that are read at once."""
LARGEST = 64 * 1024 * 1024
"""Bytes of the largest mail that is read."""
LOOKED_AT = 2048
"""Bytes after a separator that have to be there before it is judged."""
HEADER = 256 * 1024
"""Bytes of a header in which a count of bytes is looked for."""

_DAY = rb"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b"
_DATED = re.compile(
    # Each step is taken once (atomic): a line of a megabyte would take years else.
    rb"From (?>[^\r\n]*?" + _DAY + rb")(?>[^\r\n]*?\d:\d\d)(?>[^\r\n]*?\d{4})[^\r\n]*+\r?\n",
    re.IGNORECASE,
)
_DATELESS = re.compile(rb"From \S+[ \t]*\r?\n")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|>From ")
_KNOWN = re.compile(
    rb"(?:From|To|Subject|Date|Received|Return-Path|Delivered-To|Message-ID|MIME-Version|Content-Type|Status|Sender"
    rb"|X-[!-9;-~]+)[ \t]*:",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_BREAKS = re.compile(rb"(?:\r?\n)*")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """A mail of an mbox, from the offset `at` up to `end`."""

    at: int
    end: int
    separator: bytes
    raw: bytes
    """The mail, with lines that end in CRLF; only its beginning when it is too large."""
    is_too_large: bool = False
    is_open: bool = False
    """Whether the file ends with it, and not with the end of a line."""
    is_last: bool = False


def pieces(stream: BinaryIO, at: int = 0) -> Iterator[Piece]:
    """The mails from an offset on, at which the stream has to be."""
    window = _Window(stream, at)
    window.skip_breaks()
    while window.data:
        yield _piece(window)


class _Window:
    """The bytes of the file that are looked at; `at` is the offset of the first one."""

    def __init__(self, stream: BinaryIO, at: int) -> None:
        self._stream = stream
        self.at = at
        self.data = bytearray()
        self.is_at_end = False
        self.more()

    def more(self) -> bool:
        """Read on; false at the end."""
        chunk = b"" if self.is_at_end else self._stream.read(CHUNK)
        self.is_at_end = not chunk
        self.data += chunk
        return bool(chunk)

    def reach(self, size: int) -> None:
        """Have so many bytes, if there are so many."""
        while len(self.data) < size and self.more():
            pass

    def drop(self, size: int) -> None:
        """Go on after so many bytes."""
        del self.data[:size]
        self.at += size
        if not self.data:
            self.more()

    def skip_breaks(self) -> None:
        """Go on after empty lines."""
        while found := re.match(rb"(?:[ \t]*\r?\n)+", self.data):
            self.drop(found.end())


def _piece(window: _Window) -> Piece:
    at, is_counted = window.at, False
    first = _end_of_line(window)
    end = _counted_end(window, first)
    head: bytes | None = None
    if end is not None:
        is_counted = True
    else:
        end, head = _next_separator(window, first)
    is_last = window.is_at_end and end == len(window.data)
    raw = head if head is not None else bytes(window.data[first:end])
    separator = b"" if head is not None else bytes(window.data[:first])
    is_open = is_last and not window.data.endswith(b"\n")
    window.drop(end)
    return Piece(at, window.at, separator, _plain(raw, is_counted=is_counted), head is not None, is_open, is_last)


def _end_of_line(window: _Window) -> int:
    """The end of the separator that the window begins with; 0 where it begins with none."""
    window.reach(LOOKED_AT)
    if not window.data.startswith(b"From "):
        return 0
    end = window.data.find(b"\n")
    return len(window.data) if end < 0 else end + 1


def _counted_end(window: _Window, first: int) -> int | None:
    """The end of the mail by its Content-Length, where that leads to a separator or to the end of the file."""
    window.reach(first + HEADER)
    empty = _EMPTY_LINE.search(window.data, first, first + HEADER)
    found = _LENGTH.search(window.data, first, empty.end()) if empty else None
    if empty is None or found is None or int(found[1]) > LARGEST:
        return None
    body_end = empty.end() + int(found[1])
    window.reach(body_end + LOOKED_AT)
    if body_end > len(window.data):
        return None
    breaks = _BREAKS.match(window.data, body_end)
    end = breaks.end() if breaks else body_end
    is_there = end == len(window.data) or (end > body_end and _DATED.match(window.data, end) is not None)
    return end if is_there else None


def _next_separator(window: _Window, first: int) -> tuple[int, bytes | None]:
    """The offset of the next separator, or of the end; with the beginning of a mail that is too large to hold."""
    position, head = max(first - 1, 0), None
    while True:
        found = window.data.find(b"\nFrom ", position)
        if found >= 0:
            window.reach(found + LOOKED_AT)
            if _separates(window.data, found):
                return found + 1, head
            position = found + 1
            continue
        position = max(position, len(window.data) - len(b"\nFrom "))
        if len(window.data) > LARGEST:
            head = head or bytes(window.data[first : first + HEADER])
            kept = len(window.data) - LOOKED_AT
            window.drop(kept)
            position -= kept
        if not window.more():
            return len(window.data), head


def _separates(data: bytearray, end_of_line: int) -> bool:
    """Whether the line after `end_of_line` separates two mails."""
    begin = end_of_line + 1
    is_after_empty_line = data[end_of_line - 1 : end_of_line] == b"\n" or data[end_of_line - 2 : end_of_line] == b"\n\r"
    if dated := _DATED.match(data, begin):
        # A mail that was cut is followed by the next one without an empty line.
        return (_FIELD if is_after_empty_line else _KNOWN).match(data, dated.end()) is not None
    dateless = _DATELESS.match(data, begin) if is_after_empty_line else None
    return dateless is not None and _KNOWN.match(data, dateless.end()) is not None


def _plain(raw: bytes, *, is_counted: bool) -> bytes:
    """The mail without the empty line after it and without the signs before `From `; lines end with CRLF."""
    lines = raw.replace(b"\r\n", b"\n")
    if lines.endswith(b"\n\n"):
        lines = lines[:-1]
    return (lines if is_counted else _ESCAPED.sub(rb"\1", lines)).replace(b"\n", b"\r\n")


def is_field(begin: bytes) -> bool:
    """Whether these bytes begin with a field that headers of mails have."""
    return _KNOWN.match(begin) is not None
