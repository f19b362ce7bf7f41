"""The child that reads a SQLite database, with bounds on what a query may cost, whoever made the database.

A database carries programs: views, virtual tables and generated columns, whose rows and values are made as they are
read, without end or of any size. So only plain tables are read.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast
from urllib.parse import quote

from pdpp_worker.confined.file_service import Service
from pdpp_worker.confined.requests import AT_REST, MOST_ROWS, Blob, Rows

CACHE_KIB = 8 * 1024
BATCH_BYTES = 256 * 1024
"""Rows that come at once are no more than this, and one row."""
_STEPS = 1_000
_LONGEST_PATTERN = 200

_MADE_UP = """
    SELECT m.name FROM sqlite_master m WHERE m.type IN ('table', 'view') AND CASE
        WHEN coalesce(m.rootpage, 0) = 0 THEN TRUE
        ELSE EXISTS (SELECT 1 FROM pragma_table_xinfo(m.name) x WHERE x.hidden IN (2, 3)) END
"""
"""Views and virtual tables have no page of their own; 2 and 3 are generated columns."""


class TableReader(Service[sqlite3.Cursor]):
    """Has one database open, and cursors in it.

    Of a query that is walked, the next rows are read while the worker works on those before.
    """

    def __init__(self) -> None:
        super().__init__()
        self._walked: int | None = None
        """The query whose rows were asked for last, if it has more of them."""
        self._ahead: tuple[int, Rows | Exception] | None = None
        """Rows of a query that were read ahead, or why they cannot be read."""
        self._unchanged: Callable[[], AbstractContextManager[None]] = nullcontext

    def database(self, path: str, mode: str, longest_value: int, longest_search_s: float) -> list[str]:
        """Open a database, and set the bounds before anything is read; returns tables that are not read."""
        self._unchanged = self._seen(path) if mode == AT_REST else nullcontext
        connection = self._connection = sqlite3.connect(f"file:{quote(path)}?{mode}", uri=True)
        self.file.callback(connection.close)
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest_value)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)
        connection.execute("PRAGMA trusted_schema = OFF")
        search = _Search(longest_search_s)
        connection.set_trace_callback(search.begin)
        connection.set_progress_handler(search.is_over, _STEPS)
        connection.execute(f"PRAGMA cache_size = {-CACHE_KIB}")  # not the one that the file asks for
        with self._unchanged():
            made_up = frozenset(name.upper() for (name,) in connection.execute(_MADE_UP))
        connection.set_authorizer(lambda *asked: _allowed(made_up, *asked))
        connection.row_factory = search.found
        self._search = search
        self.is_open = True
        return sorted(made_up)

    def _seen(self, path: str) -> Callable[[], AbstractContextManager[None]]:
        file = os.open(path, os.O_RDONLY)
        self.file.callback(os.close, file)
        return _Unchanged(file).seen

    def query(self, number: int, statement: str, values: list[Any]) -> Rows:
        """The first rows of a query."""
        with self._unchanged(), self._search.told():
            self.parts[number] = self._connection.execute(statement, values)
        return self._read(number)

    def more(self, number: int) -> Rows:
        """The next rows of a query."""
        rows = self._read(number) if self._ahead is None or self._ahead[0] != number else self._take_ahead()
        self._walked = None if rows.are_all else number
        return rows

    def read_ahead(self) -> None:
        """Read the rows that will be asked for next; a failure is told when they are."""
        number, self._walked = self._walked, None
        if number is None or self._ahead is not None:
            return
        try:
            self._ahead = number, self._read(number)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - it is told, and the child goes on
            self._ahead = number, error

    def drop(self, number: int) -> None:
        """Leave a query, and what was read of it ahead."""
        super().drop(number)
        if self._walked == number:
            self._walked = None
        if self._ahead is not None and self._ahead[0] == number:
            self._ahead = None

    def _take_ahead(self) -> Rows:
        (_, rows), self._ahead = cast("tuple[int, Rows | Exception]", self._ahead), None
        if isinstance(rows, Exception):
            raise rows
        return rows

    def _read(self, number: int) -> Rows:
        rows: list[tuple[Any, ...]] = []
        size = 0
        with self._unchanged(), self._search.told():
            for row in self.part(number):
                size += sum(len(one) for one in row if isinstance(one, (str, bytes)))
                rows.append(tuple([Blob(one) if type(one) is bytes else one for one in row]))
                if len(rows) == MOST_ROWS or size > BATCH_BYTES:
                    return Rows(rows, are_all=False)
        self.drop(number)
        return Rows(rows, are_all=True)


def _allowed(made_up: frozenset[str], action: int, table: str | None, *_: str | None) -> int:
    is_refused = action == sqlite3.SQLITE_READ and (table or "").upper() in made_up
    return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK


class _Unchanged:
    """A file of which SQLite does not notice that somebody writes to it: what it reads then is of two times."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._before = self._now()

    def _now(self) -> tuple[int, int]:
        status = os.fstat(self._file)
        return status.st_size, status.st_mtime_ns

    @contextmanager
    def seen(self) -> Iterator[None]:
        """Refuse what was read in the block where the file has changed, a failure of SQLite's too."""
        failure = None
        try:
            yield
        except sqlite3.Error as error:
            failure = error
        if self._now() != self._before:
            raise sqlite3.OperationalError("it was written to while it was read") from failure
        if failure is not None:
            raise failure


class _Search:
    """The processor time that SQLite has used since it found the last row; what happens between rows does not count."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._used_s = 0.0
        self._seen: float | None = None

    def begin(self, _: str = "") -> None:
        """Count from nothing."""
        self._used_s, self._seen = 0.0, None

    def found(self, _: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Count anew, since a row was found."""
        self.begin()
        return row

    def is_over(self) -> bool:
        """Whether SQLite is to stop."""
        now = time.thread_time()
        self._used_s += now - (self._seen or now)
        self._seen = now
        return self._used_s > self._longest_s

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say in words that SQLite was stopped."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            why = f"SQLite searched for {self._longest_s:g} s and found no further row"
            raise sqlite3.OperationalError(why) from error
