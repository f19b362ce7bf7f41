"""Bounds on what an archive lists, and on what a member of it unpacks to."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

DENSEST = 100
"""Times its bytes; text packs to a tenth, a record of zeros to a thousandth."""
DENSE_FREE_BYTES = 8 * 1024 * 1024
"""Below this, unpacked, a member may be as dense as it likes."""
LONGEST_LIST = 16 * 1024 * 1024
"""Bytes of the list of members: some 160,000 of them; each takes up to a kilobyte of memory."""


def most_unpacked(packed: int) -> int:
    """Bytes that a member of so many packed bytes may unpack to."""
    return max(DENSE_FREE_BYTES, DENSEST * packed)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive, to be read.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile: it is none, or lists more members than memory can hold.
    """
    with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
        file.is_listed = True
        yield archive


def open_member(archive: zipfile.ZipFile, name: str | zipfile.ZipInfo) -> IO[bytes]:
    """A member's bytes; no more come than its entry says.

    Raises:
        KeyError: there is none of this name.
        zipfile.BadZipFile: it is damaged, or unpacks to far more than its bytes.
    """
    info = name if isinstance(name, zipfile.ZipInfo) else archive.getinfo(name)
    if info.file_size > most_unpacked(info.compress_size):
        raise zipfile.BadZipFile(f"a member unpacks to more than {DENSEST} times its bytes")
    return archive.open(info)


class _Bounded(io.FileIO):
    """The file of an archive, whose list of members is read at once."""

    is_listed = False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.is_listed and size is not None and size > LONGEST_LIST:
            raise zipfile.BadZipFile("it lists too many members; unpack it into a folder")
        return super().read(-1 if size is None else size)
