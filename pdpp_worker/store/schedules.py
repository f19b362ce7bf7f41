"""Which connections are due, claimed so that any number of dispatchers may tick."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Due(NamedTuple):
    """A schedule whose time has come."""

    connection_id: int
    connector: str
    every_s: float | None
    cron: str | None
    jitter_s: float
    now: datetime
    """The database's time."""


# While a recovery is under way the walk stays due, for a recovery does not walk.
_DUE = text("""
    SELECT connection_id, connector, every_s, cron, jitter_s, clock_timestamp() AS now
    FROM schedules JOIN connections ON connections.id = connection_id
    WHERE NOT paused AND next_run_at <= clock_timestamp() AND NOT EXISTS (SELECT 1 FROM runs
        WHERE runs.connection_id = schedules.connection_id AND kind = 'recovery' AND status IN ('queued', 'running'))
    ORDER BY next_run_at LIMIT :limit
    FOR UPDATE OF schedules SKIP LOCKED
""")
_IS_DUE = text("""
    SELECT 1 FROM schedules WHERE connection_id = :connection_id AND NOT paused AND next_run_at <= clock_timestamp()
""")
_ADVANCE = text("UPDATE schedules SET next_run_at = :next_run_at WHERE connection_id = :connection_id")
_BRING_FORWARD = text("""
    UPDATE schedules SET next_run_at = least(next_run_at, :not_before) WHERE connection_id = :connection_id
""")


def claim_due(connection: Connection, limit: int) -> list[Due]:
    """Lock and return schedules that are due; another dispatcher sees the others."""
    return [Due(*row) for row in connection.execute(_DUE, {"limit": limit})]


def is_due(connection: Connection, connection_id: int) -> bool:
    """Whether a walk of the connection is due by its schedule."""
    return connection.execute(_IS_DUE, {"connection_id": connection_id}).scalar() is not None


def advance(connection: Connection, connection_id: int, next_run_at: datetime) -> None:
    """Set the next time; times that were missed meanwhile are caught up by the one run that is due."""
    connection.execute(_ADVANCE, {"connection_id": connection_id, "next_run_at": next_run_at})


def bring_forward(connection: Connection, connection_id: int, not_before: datetime) -> None:
    """Let the next run start at `not_before` if it would start later: what is missing is due then."""
    connection.execute(_BRING_FORWARD, {"connection_id": connection_id, "not_before": not_before})
