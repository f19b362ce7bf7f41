"""SQLite databases that strangers made, read in a child."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pdpp_worker.confined.child_pool import ChildPool
from pdpp_worker.confined.file_session import Session
from pdpp_worker.confined.requests import AT_REST, Blob, Names, Rows

LONGEST_VALUE = 8 * 1024 * 1024
"""Longest value, and longest row, that is read out of a database, bytes."""
LONGEST_SEARCH_S = 60.0
"""Processor time that SQLite may use until it finds the next row."""
CPU_S = 75.0
"""Processor time after which SQLite is killed, if it did not stop by itself; some hundred rows may take as much."""
WALL_S = 300.0
MEMORY_BYTES = 384 * 1024 * 1024
"""Memory of the child; a schema of a million tables takes more."""
MOST_FILES = 32
"""Databases that this process reads at a time."""

READER = "pdpp_worker.confined.table_reader:TableReader"

_CHILDREN = ChildPool(READER, memory_bytes=MEMORY_BYTES, cpu_s=CPU_S, wall_s=WALL_S, most=MOST_FILES)
_Row = tuple[Any, ...]


class UnreadableDatabaseError(Exception):
    """A database that cannot be read: it is damaged, another thing, or takes too much time or memory. Says which."""


class ForeignDatabase:
    """An open database; a query raises UnreadableDatabaseError."""

    def __init__(self, reader: Session[Any]) -> None:
        self._reader = reader
        self.refused = frozenset(reader.opened)
        """Names, in capitals, of tables whose rows would be made as they are read: they are not read."""

    def execute(self, statement: str, values: Sequence[Any] = ()) -> ForeignRows:
        """The rows of a query."""
        number = self._reader.number()
        first = self._reader.ask(Rows, "query", number, statement, list(values))
        return ForeignRows(self._reader, number, first)


class ForeignRows:
    """The rows of a query, fetched as they are asked for; memory holds some hundred of them."""

    def __init__(self, reader: Session[Any], number: int, first: Rows) -> None:
        self._rows = _rows(reader, number, first)

    def __iter__(self) -> Iterator[_Row]:
        return self._rows

    def fetchone(self) -> Any:
        """The next row; None: there is no other."""
        return next(self._rows, None)

    def fetchall(self) -> list[_Row]:
        """All rows that are left."""
        return list(self._rows)


def _rows(reader: Session[Any], number: int, batch: Rows) -> Iterator[_Row]:
    try:
        while True:
            for row in batch.rows:
                yield tuple([one.content if type(one) is Blob else one for one in row])
            if batch.are_all:
                return
            batch = reader.ask(Rows, "more", number)
    finally:
        if not batch.are_all:
            reader.drop(number)


@contextmanager
def open_database(path: Path) -> Iterator[ForeignDatabase]:
    """A database, to be read only.

    Raises:
        OSError, UnreadableDatabaseError: it cannot be read.
    """
    opening = "database", str(path), _mode(path), LONGEST_VALUE, LONGEST_SEARCH_S
    reader = Session(_CHILDREN, UnreadableDatabaseError, cast("Any", Names), *opening)
    try:
        yield ForeignDatabase(reader)
    finally:
        reader.close()


def _mode(path: Path) -> str:
    """The mode in which to open the file, by the logs that lie beside it."""
    sizes = {name: log.stat().st_size for name in ("wal", "journal") if (log := Path(f"{path}-{name}")).exists()}
    if sizes.get("journal"):
        return "mode=rw"  # A writer died in the midst of a transaction, which SQLite takes back when it may write.
    # Without a log the file is whole, and need not be in a directory that can be written.
    return "mode=ro" if sizes.get("wal") else AT_REST
