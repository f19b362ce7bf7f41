"""Connections that are due, claimed one by one so that any number of dispatchers may tick."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from pdpp_worker.store import leases
from pdpp_worker.store.run_states import IS_ACTIVE
from pdpp_worker.store.values import storable


class Due(NamedTuple):
    """A schedule whose time has come."""

    connection_id: int
    connector: str
    every_s: float | None
    cron: str | None
    jitter_s: float
    now: datetime
    """The database's time."""


# While a run only retries gaps the walk stays due, for that run does not walk any more.
_IS_DUE_NOW = f"""
    NOT paused AND next_run_at <= clock_timestamp() AND NOT EXISTS (SELECT 1 FROM runs
        WHERE runs.connection_id = schedules.connection_id AND {IS_ACTIVE}
            AND (kind = 'recovery' OR phase = 'drain'))
"""
_DUE = text(f"SELECT connection_id FROM schedules WHERE {_IS_DUE_NOW} ORDER BY next_run_at LIMIT :limit")
_CLAIM = text(f"""
    SELECT connection_id, connector, every_s, cron, jitter_s, clock_timestamp() AS now
    FROM schedules JOIN connections ON connections.id = connection_id
    WHERE connection_id = :connection_id AND {_IS_DUE_NOW}
""")
_IS_DUE = text("""
    SELECT 1 FROM schedules WHERE connection_id = :connection_id AND NOT paused AND next_run_at <= clock_timestamp()
""")
_ADVANCE = text("""
    UPDATE schedules SET next_run_at = :next_run_at, error = :error WHERE connection_id = :connection_id
""")
_POSTPONE = text("""
    UPDATE schedules SET next_run_at = clock_timestamp() + :wait_s * interval '1 second', error = :error
    WHERE connection_id = :connection_id
""")
_RUN_SOON = text("""
    UPDATE schedules SET next_run_at = least(next_run_at, clock_timestamp() + :wait_s * interval '1 second')
    WHERE connection_id = :connection_id
""")
_BRING_FORWARD = text("""
    UPDATE schedules SET next_run_at = least(next_run_at, :not_before) WHERE connection_id = :connection_id
""")


def due(connection: Connection, limit: int) -> list[int]:
    """The connections whose schedules are due, longest due first."""
    return list(connection.execute(_DUE, {"limit": limit}).scalars())


def claim(connection: Connection, connection_id: int) -> Due | None:
    """Lock the connection; None when its schedule is not due (any more), or somebody is at work on it."""
    if not leases.try_lock(connection, connection_id):
        return None
    found = connection.execute(_CLAIM, {"connection_id": connection_id}).one_or_none()
    return None if found is None else Due(*found)


def is_due(connection: Connection, connection_id: int) -> bool:
    """Whether a walk of the connection is due by its schedule."""
    return connection.execute(_IS_DUE, {"connection_id": connection_id}).scalar() is not None


def advance(connection: Connection, connection_id: int, next_run_at: datetime, error: str | None) -> None:
    """Set the next time, and what is wrong with the schedule, if something is.

    Times that were missed meanwhile are caught up by the one run that is due.
    """
    connection.execute(_ADVANCE, {"connection_id": connection_id, "next_run_at": next_run_at, "error": error})


def postpone(connection: Connection, connection_id: int, wait_s: float, error: str) -> None:
    """Note that nothing could be started: look again in `wait_s` (s), and say until then why."""
    connection.execute(_POSTPONE, {"connection_id": connection_id, "wait_s": wait_s, "error": storable(error)})


def run_soon(connection: Connection, connection_id: int, wait_s: float) -> None:
    """Let the next run start after so many seconds, if it would start later."""
    connection.execute(_RUN_SOON, {"connection_id": connection_id, "wait_s": wait_s})


def bring_forward(connection: Connection, connection_id: int, not_before: datetime) -> None:
    """Let the next run start at `not_before` if it would start later: what is missing is due then."""
    connection.execute(_BRING_FORWARD, {"connection_id": connection_id, "not_before": not_before})
