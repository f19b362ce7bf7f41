"""The whole fleet in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from pdpp_worker.store.tables import IS_ACTIVE
from pdpp_worker.store.views.reading import build


@dataclass(frozen=True)
class Overview:
    """The whole of it in a few numbers."""

    connections: int
    runs_working: int
    runs_waiting: int
    records_in_work: int
    """Records that the active runs have taken so far."""
    gaps: int
    still: int
    """Connections that the watchdog found to stand still."""
    next_run_at: datetime | None


_OVERVIEW = text(f"""
    SELECT (SELECT count(*) FROM connections) AS connections,
        count(runs.id) FILTER (WHERE leases.run_id IS NOT NULL) AS runs_working,
        count(runs.id) FILTER (WHERE leases.run_id IS NULL) AS runs_waiting,
        coalesce(sum(taken.records), 0)::bigint AS records_in_work,
        (SELECT count(*) FROM gaps WHERE closed_at IS NULL) AS gaps,
        (SELECT count(*) FROM connections WHERE still_cause IS NOT NULL) AS still,
        (SELECT min(next_run_at) FROM schedules WHERE NOT paused) AS next_run_at
    FROM runs
    LEFT JOIN leases ON leases.run_id = runs.id AND leases.expires_at > clock_timestamp()
    CROSS JOIN LATERAL (SELECT sum(records_emitted) AS records FROM run_streams WHERE run_id = runs.id) AS taken
    WHERE runs.{IS_ACTIVE}
""")


def read(connection: Connection) -> Overview:
    """A few numbers that are cheap to read again and again."""
    return build(Overview, connection.execute(_OVERVIEW).mappings().one())
