"""Writes files into a tar archive as far as they hold bytes: a hole costs nothing there, and is one again afterwards.

The form is GNU's for sparse files, version 1.0, which `tarfile` reads by itself.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_BLOCK = 512


class SparseArchive(tarfile.TarFile):
    """An archive that is written; `add_tree` adds a directory however deep it is."""

    def add_tree(self, folder: Path, name: str) -> None:
        """Add a file, or a directory with all below it.

        Raises:
            OSError: a file cannot be read, or lies deeper than the system opens.
        """
        waiting = [(folder, name)]
        while waiting:
            path, called = waiting.pop()
            self.add(path, called, recursive=False)
            if path.is_dir() and not path.is_symlink():
                waiting += [(one, f"{called}/{one.name}") for one in sorted(path.iterdir(), reverse=True)]

    def addfile(self, tarinfo: tarfile.TarInfo, fileobj: Any = None) -> None:
        """Add a member; of a file with holes the rest."""
        if fileobj is not None and tarinfo.isreg() and _has_holes(fileobj):
            fileobj = _without_holes(tarinfo, fileobj)
        super().addfile(tarinfo, fileobj)


def _has_holes(file: IO[bytes]) -> bool:
    status = os.fstat(file.fileno())
    return status.st_blocks * _BLOCK < status.st_size


def _without_holes(tarinfo: tarfile.TarInfo, file: IO[bytes]) -> IO[bytes]:
    """The bytes that are written of the file; `tarinfo` becomes that of such a member."""
    parts = [(start, end - start) for start, end in _parts(file.fileno(), tarinfo.size)]
    numbers = [len(parts), *(number for part in parts for number in part)]
    plan = b"".join(b"%d\n" % number for number in numbers)
    plan += bytes(-len(plan) % _BLOCK)
    tarinfo.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": tarinfo.name,
        "GNU.sparse.realsize": str(tarinfo.size),
    }
    tarinfo.size = len(plan) + sum(length for _, length in parts)
    return io.BufferedReader(_Joined(plan, parts, file))


def _parts(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of what is no hole."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # the rest is a hole
            return
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        yield start, end


class _Joined(io.RawIOBase):
    """A plan, then these parts of a file."""

    def __init__(self, plan: bytes, parts: list[tuple[int, int]], file: IO[bytes]) -> None:
        self._plan = plan
        self._parts = iter(parts)
        self._file = file
        self._left = 0

    def readable(self) -> bool:
        """Say that it is read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what comes next, as much of it as there is in one part."""
        found = self._next(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _next(self, most: int) -> bytes:
        if self._plan:
            found, self._plan = self._plan[:most], self._plan[most:]
            return found
        if not self._left:
            start, self._left = next(self._parts, (0, 0))
            self._file.seek(start)
        found = self._file.read(min(most, self._left))
        self._left -= len(found)
        return found
