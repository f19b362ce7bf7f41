"""One pass over one transcript: from where the last one ended, or from the start when the file is not what it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path
from typing import BinaryIO, NamedTuple

from connectors.claude_code.cursor import TranscriptProgress
from connectors.claude_code.lines import BLOCK_BYTES, MAX_LINE_BYTES, Anchor, BrokenLine, Line, parse, read_lines
from connectors.claude_code.shapes import Obj

_NS_PER_MS = 1_000_000


class Good(NamedTuple):
    """A line that is a JSON object."""

    line: Obj
    offset: int
    raw: bytes


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


class Pass:
    """Reads a transcript and knows at every moment how far it may be taken for read.

    A last line without its end is left for later, unless it `is_over` with it: nobody writes on.
    """

    def __init__(self, file: BinaryIO, entry: TranscriptProgress | None, *, is_over: bool = False) -> None:
        status = os.fstat(file.fileno())
        self._file = file
        self._size = status.st_size
        self._mtime_ms = status.st_mtime_ns // _NS_PER_MS
        self._anchor = _resume(file, entry)
        self.is_rebuild = entry is not None and self._anchor.offset == 0
        self.entry = entry if entry is not None and not self.is_rebuild else TranscriptProgress(0, 0, None, "")
        self._is_over = is_over
        self.ends_unfinished = False
        self.is_torn = False
        """Whether the file was rewritten while it was read; the next run reads it anew."""

    def __iter__(self) -> Iterator[Good | Broken]:
        for line in read_lines(self._file, self._anchor.offset, self._size, MAX_LINE_BYTES):
            if line.data is not None and line.data.isspace():
                self._anchor.advance(line.data)
                continue
            item = _read(line)
            if not line.finished and isinstance(item, Broken) and not self._is_over:
                self.ends_unfinished = True
                break
            if isinstance(item, Broken) and self._was_rewritten():
                self.is_torn = True
                return
            self._advance(line)
            yield item
        self.mark(at_end=True)

    def mark(self, *, at_end: bool = False) -> TranscriptProgress:
        """Bring the entry up to what was taken in."""
        self.entry.offset = self._anchor.offset
        self.entry.size = self._size
        self.entry.mtime_ms = self._mtime_ms if at_end else None
        self.entry.check = self._anchor.check()
        return self.entry

    def _advance(self, line: Line) -> None:
        if line.data is None:
            self._anchor = Anchor.at(self._file, line.end)
        else:
            self._anchor.advance(line.data)

    def _was_rewritten(self) -> bool:
        return Anchor.at(self._file, self._anchor.offset).check() != self._anchor.check()


def join_broken(items: Iterable[Good | Broken]) -> Iterator[Good | Broken]:
    """The same items with neighbouring broken lines as one, so that a file of rubbish is one gap."""
    held: Broken | None = None
    try:
        for item in items:
            if isinstance(item, Broken):
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
    file.seek(max(0, offset - 1))
    if offset > 0 and file.read(1) != b"\n":
        return
    for line in read_lines(file, offset, end, MAX_LINE_BYTES):
        if line.data is None or not line.data.isspace():
            yield _read(line)


def _open_plainly(path: str, flags: int) -> int:
    # Not waiting for a writer matters when a pipe has taken the file's place.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _resume(file: BinaryIO, entry: TranscriptProgress | None) -> Anchor:
    """The anchor to go on from: at the committed offset if all before it is unchanged, else at the start."""
    if entry is None:
        return Anchor()
    anchor = Anchor.at(file, entry.offset)
    return anchor if anchor.check() == entry.check else Anchor()


def _read(line: Line) -> Good | Broken:
    if line.data is None:
        return Broken(line.offset, line.end, 1, "a line longer than this version reads")
    try:
        return Good(parse(line.data), line.offset, line.data)
    except BrokenLine as error:
        return Broken(line.offset, line.end, 1, str(error))
