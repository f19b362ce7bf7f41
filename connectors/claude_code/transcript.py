"""One pass over one transcript: from where the last one ended, or from the start when the file is not what it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path
from typing import Any, BinaryIO

from connectors.claude_code.cursor import TranscriptProgress
from connectors.claude_code.lines import BLOCK_BYTES, MAX_LINE_BYTES, Anchor, BrokenLine, Line, parse, read_lines
from connectors.claude_code.repeats import SPAN_BYTES, Good, Repeats, good_of
from connectors.claude_code.splice import take_apart
from connectors.claude_code.titles import Titles
from pdpp_worker.connector import is_crowded

WRITTEN_WITHIN_MS = 60_000
"""A line is written at once; one that has no end this long after the file's last change will never get one."""
_NS_PER_MS = 1_000_000
_READING = 2
"""Raised whenever lines can be read that could not be read before."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A stretch of neighbouring lines that are not JSON objects."""

    offset: int
    end: int
    lines: int
    why: str

    def joined(self, after: Broken) -> Broken:
        """This stretch with the one that follows it."""
        return Broken(self.offset, after.end, self.lines + after.lines, self.why)


def reading_power() -> str:
    """A text that changes when lines can be read that could not be read before."""
    return f"{_READING} {MAX_LINE_BYTES:x}"


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading by blocks; a link in its place is refused.

    Raises:
        OSError: it cannot be read.
    """
    file = open(path, "rb", buffering=BLOCK_BYTES, opener=_open_plainly)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(EINVAL, "not a file, but a pipe or a device")
    return file


def is_left(mtime_ms: int, now_ms: int) -> bool:
    """Whether nobody writes on, by the time of a file's last change.

    A time that lies ahead is that of another clock, and tells nothing of a writer.
    """
    return abs(now_ms - mtime_ms) > WRITTEN_WITHIN_MS


class Pass:
    """Reads a transcript and knows at every moment how far it may be taken for read.

    A last line without its end is left for later, unless nobody writes on.
    """

    def __init__(self, file: BinaryIO, entry: TranscriptProgress | None, now_ms: int) -> None:
        status = os.fstat(file.fileno())
        self._file = file
        self._size = status.st_size
        self._mtime_ms = status.st_mtime_ns // _NS_PER_MS
        self._anchor = _resume(file, entry)
        self.begin = _line_start(file, self._anchor.offset)
        """The first byte of the first line that is read: in the middle of a line the last pass met its torn end."""
        self.repeats = _repeats_before(file, self.begin)
        self.titles = Titles(_summaries_at_top(file, self.begin))
        self.is_rebuild = entry is not None and self._anchor.offset == 0
        self.entry = entry if entry is not None and not self.is_rebuild else TranscriptProgress(0, 0, None, "")
        if entry is not None:
            self.entry.old_end, self.entry.old_keys = entry.old_end, entry.old_keys
        self._is_left = is_left(self._mtime_ms, now_ms)
        self.ends_unfinished = False
        self.is_torn = False
        """Whether the file was rewritten while it was read; the next run reads it anew."""

    def __iter__(self) -> Iterator[Good | Broken]:
        resumed, place = self._anchor.offset, self.repeats.place
        for line in read_lines(self._file, self.begin, self._size, MAX_LINE_BYTES):
            items = _read(line)
            if items and type(items[-1]) is Broken:
                if not line.finished and not self._is_left:
                    self.ends_unfinished = True
                    break
                if self._was_rewritten():
                    self.is_torn = True
                    return
            self._advance(line)
            for item in items:
                if type(item) is Good:
                    item = place(item)  # noqa: PLW2901 - the same line, marked
                    if line.offset < resumed and item.offset + len(item.raw.rstrip()) <= resumed:
                        continue
                yield item
        self.mark(at_end=True)

    def mark(self, *, at_end: bool = False) -> TranscriptProgress:
        """Bring the entry up to what was taken in."""
        self.entry.offset = self._anchor.offset
        self.entry.size = self._size
        self.entry.mtime_ms = self._mtime_ms if at_end else None
        self.entry.check = self._anchor.check()
        self.entry.old_end = 0 if at_end else self.entry.old_end
        return self.entry

    def _advance(self, line: Line) -> None:
        data, anchor = line.data, self._anchor
        if data is None:
            self._anchor = Anchor.at(self._file, line.end)
        else:
            anchor.advance(data if anchor.offset <= line.offset else data[anchor.offset - line.offset :])

    def _was_rewritten(self) -> bool:
        return Anchor.at(self._file, self._anchor.offset).check() != self._anchor.check()


def join_broken(items: Iterable[Good | Broken]) -> Iterator[Good | Broken]:
    """The same items with neighbouring broken lines as one, so that a file of rubbish is one gap."""
    held: Broken | None = None
    try:
        for item in items:
            if type(item) is Broken:
                held = item if held is None else held.joined(item)
                continue
            if held is not None:
                yield held
                held = None
            yield item
    except OSError:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held


def read_stretch(file: BinaryIO, offset: int, end: int) -> Iterator[Good | Broken]:
    """The lines of a stretch that was broken once; nothing when no line begins there any more."""
    if _line_start(file, offset) != offset:
        return
    repeats = _repeats_before(file, offset)
    for line in read_lines(file, offset, end, MAX_LINE_BYTES):
        for item in _read(line):
            yield item if isinstance(item, Broken) else repeats.place(item)


def _open_plainly(path: str, flags: int) -> int:
    # Not waiting for a writer matters when a pipe has taken the file's place.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _resume(file: BinaryIO, entry: TranscriptProgress | None) -> Anchor:
    """The anchor to go on from: at the committed offset if all before it is unchanged, else at the start."""
    if entry is None:
        return Anchor()
    anchor = Anchor.at(file, entry.offset)
    return anchor if anchor.check() == entry.check else Anchor()


def _line_start(file: BinaryIO, offset: int) -> int:
    """The first byte of the line that holds the byte before `offset`; `offset` itself where that one ends a line."""
    at = offset
    while at > 0:
        first = max(0, at - BLOCK_BYTES if at < offset else at - 1)
        file.seek(first)
        found = file.read(at - first).rfind(b"\n")
        if found >= 0:
            return first + found + 1
        at = first
    return 0


def _repeats_before(file: BinaryIO, offset: int) -> Repeats:
    """The uuids of the lines before a place."""
    repeats = Repeats(file)
    first = max(0, (offset // SPAN_BYTES - 1) * SPAN_BYTES)
    for line in read_lines(file, max(0, first - 1), offset, MAX_LINE_BYTES):
        if line.data is not None and line.offset >= first:
            for item in _read(line):
                if isinstance(item, Good):
                    repeats.place(item)
    return repeats


def _summaries_at_top(file: BinaryIO, before: int) -> Iterator[dict[str, Any]]:
    """The summaries with which a transcript begins."""
    for line in read_lines(file, 0, before, SPAN_BYTES):
        for item in _read(line):
            if not isinstance(item, Good) or item.line.get("type") != "summary":
                return
            yield item.line


def _read(line: Line) -> list[Good | Broken]:
    """The records of a line, none of an empty one, and last the line itself where something of it is left over."""
    offset, end, data, _ = line
    if data is None:
        return [Broken(offset, end, 1, "a line longer than this version reads")]
    if is_crowded(data):
        return [Broken(offset, end, 1, "a line of more values than this version reads")]
    try:
        return [good_of(parse(data), offset, data)]
    except BrokenLine as error:
        if data.isspace():
            return []
        parts, has_rest = take_apart(data)
        whole = [good_of(one.value, offset + one.start, data[one.start : one.end]) for one in parts]
        return [*whole, Broken(offset, end, 1, str(error))] if has_rest else [*whole]
