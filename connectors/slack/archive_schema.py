"""The tables and columns that an archive really has: versions of slackdump differ, and copies lose parts."""

from __future__ import annotations

from pdpp_worker.connector import ForeignDatabase


class Schema:
    """The names that queries of one database may use."""

    def __init__(self, database: ForeignDatabase) -> None:
        self._database = database
        known = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = frozenset(name.upper() for (name,) in known)
        self.tables = tables - database.refused
        self.refused = tables & database.refused
        """Tables that are there and are not read."""
        self._columns: dict[str, frozenset[str]] = {}

    def pick(self, table: str, *columns: str) -> str:
        """The columns as a query names them; one that is not there is null, so that it costs only what it would say."""
        if table not in self._columns:
            found = self._database.execute("SELECT upper(name) FROM pragma_table_info(?)", (table,))
            self._columns[table] = frozenset(name for (name,) in found)
        return ", ".join(one if one in self._columns[table] else f"NULL AS {one}" for one in columns)
