"""The size of each table, what it holds, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from pdpp_worker.store.tables import metadata
from pdpp_worker.store.views.reading import build

BLOATED_ROWS = 50_000
"""Fewer dead rows than this are no sign of anything."""


@dataclass(frozen=True)
class TableStats:
    """One table; sizes are bytes."""

    table: str
    bytes: int
    """With its indexes and what is stored beside it."""
    index_bytes: int
    rows: int
    """As the server estimates them."""
    dead_rows: int
    """Rows that were removed or changed, whose place is not reused yet."""
    vacuumed_at: datetime | None
    """The last time at which the server freed their place."""
    oldest: datetime | None = None
    """The time of the oldest row; None: its rows have none that says so, or there are none."""

    @property
    def is_bloated(self) -> bool:
        """Whether most of it is dead, beyond what the server frees in its normal course."""
        return self.dead_rows > max(BLOATED_ROWS, self.rows)


_STATS = text("""
    SELECT relname AS "table", pg_total_relation_size(relid) AS bytes, pg_indexes_size(relid) AS index_bytes,
        greatest(n_live_tup, 0) AS rows, n_dead_tup AS dead_rows,
        greatest(last_vacuum, last_autovacuum) AS vacuumed_at
    FROM pg_stat_user_tables WHERE relid = ANY(CAST(:names AS regclass[])) ORDER BY 2 DESC, 1
""")
_FIRST = {
    "events": "SELECT at FROM events ORDER BY id LIMIT 1",
    "rate_history": "SELECT at FROM rate_history ORDER BY id LIMIT 1",
    "record_versions": "SELECT replaced_at FROM record_versions ORDER BY replaced_at LIMIT 1",
    "runs": "SELECT created_at FROM runs ORDER BY id LIMIT 1",
    "gap_attempts": "SELECT at FROM gap_attempts ORDER BY at LIMIT 1",
    "gaps": "SELECT opened_at FROM gaps ORDER BY id LIMIT 1",
    "rejections": "SELECT created_at FROM rejections ORDER BY id LIMIT 1",
}
"""The first row of a table by its key, which is read from the index."""


def read(connection: Connection) -> list[TableStats]:
    """All tables, the largest first."""
    rows = connection.execute(_STATS, {"names": sorted(metadata.tables)}).mappings()
    return [build(TableStats, {**row, "oldest": _oldest(connection, row["table"])}) for row in rows]


def _oldest(connection: Connection, table: str) -> datetime | None:
    query = _FIRST.get(table)
    found: datetime | None = connection.execute(text(query)).scalar() if query else None
    return found
