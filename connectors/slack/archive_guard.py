"""Bounds on what a query of an archive may cost, whoever made the archive.

A database carries programs: views, virtual tables and generated columns, whose rows and values are made as they are
read, without end or of any size. slackdump's has none that matter here, so only plain tables are read.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

LONGEST_VALUE = 8 * 1024 * 1024
"""Longest value that is read out of an archive, bytes; Slack's messages have at most some hundred thousand."""
LONGEST_SEARCH_S = 60.0
"""Processor time that SQLite may use until it finds the next row."""
MOST_MEMORY = 200 * 1024 * 1024
"""Bytes that SQLite may take in this process; a schema of a million tables takes more."""
CACHE_KIB = 8 * 1024
_STEPS = 1_000
_LONGEST_PATTERN = 200

_MADE_UP = """
    SELECT m.name FROM sqlite_master m WHERE m.type IN ('table', 'view') AND CASE
        WHEN coalesce(m.rootpage, 0) = 0 THEN TRUE
        ELSE EXISTS (SELECT 1 FROM pragma_table_xinfo(m.name) x WHERE x.hidden IN (2, 3)) END
"""
"""Views and virtual tables have no page of their own; 2 and 3 are generated columns."""


def guard(connection: sqlite3.Connection) -> frozenset[str]:
    """Set the bounds, before anything is read; returns the names of the tables that are not read."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)
    connection.execute(f"PRAGMA hard_heap_limit = {MOST_MEMORY}")
    connection.execute("PRAGMA trusted_schema = OFF")
    search = _Search()
    connection.set_trace_callback(search.begin)
    connection.set_progress_handler(search.is_over, _STEPS)
    connection.execute(f"PRAGMA cache_size = {-CACHE_KIB}")  # not the one that the file asks for
    made_up = frozenset(name.upper() for (name,) in connection.execute(_MADE_UP))
    connection.set_authorizer(lambda *asked: _allowed(made_up, *asked))
    connection.row_factory = search.found
    return made_up


def _allowed(made_up: frozenset[str], action: int, table: str | None, *_: str | None) -> int:
    is_refused = action == sqlite3.SQLITE_READ and (table or "").upper() in made_up
    return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK


class _Search:
    """The processor time that SQLite has used since it found the last row; what happens between rows does not count."""

    def __init__(self) -> None:
        self._used_s = 0.0
        self._seen: float | None = None

    def begin(self, _: str = "") -> None:
        self._used_s, self._seen = 0.0, None

    def found(self, _: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        self.begin()
        return row

    def is_over(self) -> bool:
        now = time.thread_time()
        self._used_s += now - (self._seen or now)
        self._seen = now
        return self._used_s > LONGEST_SEARCH_S


def as_sentence(error: Exception) -> str:
    """An error of SQLite as a sentence for the owner."""
    if "interrupted" in str(error):
        return f"the archive cannot be read: SQLite searched for {LONGEST_SEARCH_S:g} s and found no further row"
    if isinstance(error, MemoryError):
        return f"the archive cannot be read: SQLite would need more than {MOST_MEMORY // 2**20} MB of memory"
    return f"the archive cannot be read: {error}"
