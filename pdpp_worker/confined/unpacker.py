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
        file = self.file.enter_context(_Bounded(path, longest_list))
        self._archive = self.file.enter_context(zipfile.ZipFile(file))
        file.longest_list = None
        self._members = self._archive.infolist()
        self._shared = _sharing(self._members, self._archive.start_dir)
        self.is_open = True
        return [
            Member(one.filename, one.file_size, one.compress_size, one.CRC, one.header_offset) for one in self._members
        ]

    def alone(self, path: str) -> None:
        """Open what is no archive."""
        self._alone = self.file.enter_context(io.FileIO(path))
        self.is_open = True

    def member(self, number: int, index: int) -> None:
        """Begin to read a member of the archive."""
        one = self._member(index)
        self.parts[number] = _Stream(self._archive.open(one), one.file_size)

    def gunzip(self, number: int, index: int | None) -> None:
        """Begin to read a member that is gzipped, or the open file."""
        one = None if index is None else self._member(index)
        file = self._alone if one is None else self._archive.open(one)
        size = file.seek(0, io.SEEK_END) if one is None else one.file_size
        file.seek(0)
        packed = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        self.parts[number] = _Stream(packed, most_unpacked(size))

    def _member(self, index: int) -> zipfile.ZipInfo:
        """A member that may be unpacked."""
        one = self._members[index]
        if index in self._shared:
            raise zipfile.BadZipFile("it shares bytes with another member")
        if one.file_size > most_unpacked(one.compress_size):
            raise zipfile.BadZipFile(_TOO_DENSE)
        return one

    def read(self, number: int, size: int) -> bytes:
        """The next bytes of what has this number; none at its end."""
        stream = self.part(number)
        if stream.file.tell() > stream.most:
            raise zipfile.BadZipFile(_TOO_DENSE)
        return stream.file.read(size)


def most_unpacked(packed: int) -> int:
    """Bytes that so many packed bytes may unpack to."""
    return max(DENSE_FREE_BYTES, DENSEST * packed)


def _sharing(members: list[zipfile.ZipInfo], end: int) -> frozenset[int]:
    """The places of members that share bytes with others, or with the list of members that begins at `end`.

    A few megabytes of such ones unpack to as much as one likes. Some programs list a member twice, which does no harm.
    """
    order = sorted(range(len(members)), key=lambda place: (members[place].header_offset, place))
    found: set[int] = set()
    for place, after in pairwise(order):
        one, other = members[place], members[after]
        if other.header_offset == one.header_offset:
            found |= set() if other.filename == one.filename else {after}
        elif _end_of(one) > other.header_offset:
            found.add(place)
    return frozenset(found | {place for place in order[-1:] if _end_of(members[place]) > end})


def _end_of(member: zipfile.ZipInfo) -> int:
    """The least offset at which a member can end."""
    return member.header_offset + _HEADER_BYTES + member.compress_size


class _Bounded(io.FileIO):
    """The file of an archive, whose list of members is read at once."""

    def __init__(self, path: str, longest_list: int) -> None:
        super().__init__(path)
        self.longest_list: int | None = longest_list

    def read(self, size: int | None = -1, /) -> bytes:
        if self.longest_list is not None and size is not None and size > self.longest_list:
            raise zipfile.BadZipFile("it lists too many members; unpack it into a folder")
        return super().read(-1 if size is None else size)
