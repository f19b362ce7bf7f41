"""The words between a worker and the child that reads a file for it.

A worker believes no word of a child, which a file may have taken over: every answer is decoded into a type that bounds
its size in memory.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

MOST_MEMBERS = 400_000
"""Members that an archive lists."""
MOST_ROWS = 512
"""Rows that come at once."""
MOST_COLUMNS = 64
AT_REST = "mode=ro&immutable=1"
"""The mode in which SQLite opens a file that nobody writes to; it does not notice when somebody does."""


class Request(msgspec.Struct, array_like=True):
    """A question to a child; `dropped` are the numbers of what it need not keep open any more."""

    name: str
    values: list[Any]
    dropped: list[int]


class Failure(msgspec.Struct, array_like=True):
    """An answer that tells why there is none; `number` is that of a failure of the system."""

    text: str
    number: int | None = None


class Member(msgspec.Struct, array_like=True, frozen=True):
    """A file of a zip, sizes in bytes; `offset` is where it begins in the zip."""

    name: str
    size: int
    packed: int
    crc: int
    offset: int

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder."""
        return self.name.endswith("/")


class Blob(msgspec.Struct, array_like=True):
    """Bytes in a row, beside which a row has texts."""

    content: bytes


Row = tuple[int | float | str | Blob | None, ...]


class Rows(msgspec.Struct, array_like=True):
    """Rows of a query, and whether they are the last ones."""

    rows: Annotated[list[Annotated[Row, msgspec.Meta(max_length=MOST_COLUMNS)]], msgspec.Meta(max_length=MOST_ROWS)]
    are_all: bool


Members = Annotated[list[Member], msgspec.Meta(max_length=MOST_MEMBERS)]
Names = Annotated[list[str], msgspec.Meta(max_length=MOST_ROWS)]
