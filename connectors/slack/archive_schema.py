"""The tables and columns that an archive really has: versions of slackdump differ, and copies lose parts."""

from __future__ import annotations

import sqlite3


class Schema:
    """The names that queries of one database may use."""

    def __init__(self, connection: sqlite3.Connection, refused: frozenset[str]) -> None:
        self._connection = connection
        known = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = frozenset(name.upper() for (name,) in known)
        self.tables = tables - refused
        self.refused = tables & refused
        """Tables that are there and are not read."""
        self._columns: dict[str, frozenset[str]] = {}

    def pick(self, table: str, *columns: str) -> str:
        """The columns as a query names them; one that is not there is null, so that it costs only what it would say."""
        if table not in self._columns:
            found = self._connection.execute("SELECT upper(name) FROM pragma_table_info(?)", (table,))
            self._columns[table] = frozenset(name for (name,) in found)
        return ", ".join(one if one in self._columns[table] else f"NULL AS {one}" for one in columns)
