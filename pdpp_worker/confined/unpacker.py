"""The child that unpacks: zips, and files that are gzipped."""

from __future__ import annotations

import gzip
import io
import zipfile
from itertools import pairwise
from typing import IO, NamedTuple, cast

from pdpp_worker.confined.file_service import Service
from pdpp_worker.confined.requests import Member

DENSEST = 100
"""Times its bytes; text packs to a tenth, a record of zeros to a thousandth."""
DENSE_FREE_BYTES = 8 * 1024 * 1024
"""Below this, unpacked, a file may be as dense as it likes."""
_TOO_DENSE = f"it unpacks to more than {DENSEST} times its bytes"
_HEADER_BYTES = 30
"""Bytes before a member, at least."""


class _Stream(NamedTuple):
    file: IO[bytes]
    most: int
    """Bytes that may be read from it."""

    def close(self) -> None:
        """Read no more."""
        self.file.close()


class Unpacker(Service[_Stream]):
    """Has one zip open, or one other file, and some streams out of it."""

    def zip(self, path: str, longest_list: int) -> list[Member]:
        """Open an archive; returns its members."""
        self.is_open = True
        file = self.file.enter_context(_Bounded(path, longest_list))
        self._archive = self.file.enter_context(zipfile.ZipFile(file))
        file.longest_list = None
        self._members = self._archive.infolist()
        _refuse_overlaps(self._members)
        return [
            Member(one.filename, one.file_size, one.compress_size, one.CRC, one.header_offset) for one in self._members
        ]

    def alone(self, path: str) -> None:
        """Open what is no archive."""
        self.is_open = True
        self._alone = self.file.enter_context(io.FileIO(path))

    def member(self, number: int, index: int) -> None:
        """Begin to read a member of the archive."""
        one = self._members[index]
        if one.file_size > most_unpacked(one.compress_size):
            raise zipfile.BadZipFile(_TOO_DENSE)
        self.parts[number] = _Stream(self._archive.open(one), one.file_size)

    def gunzip(self, number: int, index: int | None) -> None:
        """Begin to read a member that is gzipped, or the open file."""
        file = self._alone if index is None else self._archive.open(self._members[index])
        size = file.seek(0, io.SEEK_END) if index is None else self._members[index].file_size
        file.seek(0)
        packed = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        self.parts[number] = _Stream(packed, most_unpacked(size))

    def read(self, number: int, size: int) -> bytes:
        """The next bytes of what has this number; none at its end."""
        stream = self.part(number)
        if stream.file.tell() > stream.most:
            raise zipfile.BadZipFile(_TOO_DENSE)
        return stream.file.read(size)


def most_unpacked(packed: int) -> int:
    """Bytes that so many packed bytes may unpack to."""
    return max(DENSE_FREE_BYTES, DENSEST * packed)


def _refuse_overlaps(members: list[zipfile.ZipInfo]) -> None:
    """Refuse members that share bytes: a few megabytes of them unpack to as much as one likes."""
    for one, after in pairwise(sorted(members, key=lambda member: member.header_offset)):
        if one.header_offset + _HEADER_BYTES + one.compress_size > after.header_offset:
            raise zipfile.BadZipFile("its members overlap")


class _Bounded(io.FileIO):
    """The file of an archive, whose list of members is read at once."""

    def __init__(self, path: str, longest_list: int) -> None:
        super().__init__(path)
        self.longest_list: int | None = longest_list

    def read(self, size: int | None = -1, /) -> bytes:
        if self.longest_list is not None and size is not None and size > self.longest_list:
            raise zipfile.BadZipFile("it lists too many members; unpack it into a folder")
        return super().read(-1 if size is None else size)
