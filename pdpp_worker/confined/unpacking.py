"""Zips and gzipped files, unpacked in a child."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from pdpp_worker.confined.child_pool import ChildPool
from pdpp_worker.confined.file_session import Session
from pdpp_worker.confined.requests import Member, Members

LONGEST_LIST = 16 * 1024 * 1024
"""Bytes of the list of members: some 160,000 of them."""
MEMORY_BYTES = 384 * 1024 * 1024
CPU_S = 20.0
"""Processor time until an archive is open, and that the next piece of a member may take; a piece takes 10 ms."""
WALL_S = 120.0
MOST_FILES = 32
"""Files of this process that are unpacked at a time."""
PIECE_BYTES = 128 * 1024
"""Bytes that are fetched at least, where few are asked for."""
LARGEST_PIECE = 4 * 1024 * 1024

_CHILDREN = ChildPool(
    "pdpp_worker.confined.unpacker:Unpacker", memory_bytes=MEMORY_BYTES, cpu_s=CPU_S, wall_s=WALL_S, most=MOST_FILES
)
_Reader = Session[Any]


class Zip:
    """An open archive. Its members come in their order; of several that have one name, the last one is meant by it."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self.members: list[Member] = reader.opened
        self._places = {one.name: place for place, one in enumerate(self.members)}
        self.is_open = True

    def named(self, name: str) -> Member:
        """The member of a name. Raises KeyError."""
        return self.members[self._places[name]]

    def open(self, name: str, *, is_gzipped: bool = False) -> IO[bytes]:
        """A member's bytes, or what they are when they are unpacked once more.

        Raises:
            KeyError: there is none of this name.
            zipfile.BadZipFile: it is damaged, encrypted, or far larger than its bytes; or its reader was ended.
        """
        return _begin(self._reader, "gunzip" if is_gzipped else "member", self._places[name])


@contextmanager
def open_zip(path: Path) -> Iterator[Zip]:
    """An archive, to be read.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile: it is none, or lists more members than memory can hold; or its reader was ended.
    """
    reader = Session(_CHILDREN, zipfile.BadZipFile, cast("Any", Members), "zip", str(path), LONGEST_LIST)
    archive = Zip(reader)
    try:
        yield archive
    finally:
        archive.is_open = False
        reader.close()


@contextmanager
def open_gzip(path: Path) -> Iterator[IO[bytes]]:
    """The content of a gzipped file; errors as those of a zip's member."""
    reader = Session(_CHILDREN, zipfile.BadZipFile, bool, "alone", str(path))
    try:
        yield _begin(reader, "gunzip", None)
    finally:
        reader.close()


def _begin(reader: _Reader, question: str, index: int | None) -> IO[bytes]:
    stream = _Stream(reader, question, index)
    return cast("IO[bytes]", io.BufferedReader(stream, PIECE_BYTES))


class _Stream(io.RawIOBase):
    """Bytes that a child reads."""

    def __init__(self, reader: _Reader, question: str, index: int | None) -> None:
        self._reader, self._number = reader, reader.number()
        reader.ask(bool, question, self._number, index)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes."""
        piece = self._reader.ask(bytes, "read", self._number, min(len(buffer), LARGEST_PIECE))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Leave it."""
        if not self.closed:
            self._reader.drop(self._number)
        super().close()
