"""Facts that decide when a connection goes on: its holds, its active run, due work, and its last progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdpp_worker.store.gaps.due import IS_DUE, IS_PRESSED
from pdpp_worker.store.run_states import IS_ACTIVE
from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class ActiveRun:
    """A run that is queued or at work."""

    id: int
    created_at: datetime
    not_before: datetime
    wait_reason: str | None
    """The reason why it waits until `not_before`; None: it waits for a worker only."""
    rung_at: datetime | None
    """The time at which workers were last notified of it."""
    leased: bool
    """Whether a worker is at it."""
    still_slices: int
    """Its last slices in a row that ended in good order without progress."""


@dataclass(frozen=True)
class Waits:
    """One connection. Times are the database's; None is: there is none."""

    connection_id: int
    connection: str
    connector: str
    interval_ms: float | None
    """The learned interval between two requests."""
    hold_until: datetime | None
    hold_reason: str | None
    cooldown_until: datetime | None
    """End of the pause for gaps that the provider refused for its limits."""
    pressed: bool
    """Whether there is a gap that waits for it."""
    run: ActiveRun | None
    touched_at: datetime | None
    """The last request or commit of the last run that got anywhere, or the end of a wait of it that has a reason."""
    due_at: datetime | None
    """The time since which a gap may be tried; None where a run is active."""
    paused: bool
    next_run_at: datetime | None
    still_cause: str | None
    """The standstill that was last noted."""
    failing_since: datetime | None = None
    """When the first of its last runs was queued, if all of them failed before they asked for anything."""
    in_vain: bool = False
    """Whether its last runs that tried gaps, `VAIN_RUNS` of them, closed none."""


FAILED_RUNS = 3
"""So many runs in a row that failed before they asked for anything are no accident."""
VAIN_RUNS = 2
"""After so many runs in a row that tried gaps and closed none, nobody can tell when that changes."""

# A run that only the owner can help is no standstill: its gaps say so.
_FAILING_SINCE = f"""
    SELECT min(created_at) FROM (
        SELECT id, created_at, status, spent_requests FROM runs
        WHERE runs.connection_id = connections.id AND ended_at IS NOT NULL ORDER BY id DESC LIMIT {FAILED_RUNS}
    ) AS latest
    HAVING count(*) = {FAILED_RUNS} AND bool_and(status = 'failed' AND spent_requests = 0) AND NOT EXISTS (
        SELECT 1 FROM gaps WHERE gaps.connection_id = connections.id AND gaps.last_run_id = max(latest.id)
            AND gaps.closed_at IS NULL AND gaps.next_attempt_at IS NULL AND gaps.recovery_kind = 'retry_by_runtime')
"""
# Among the latest runs only: a connection whose gaps were never tried would have its whole history searched.
_IN_VAIN = f"""
    SELECT count(*) = {VAIN_RUNS} AND bool_and(gaps_closed = 0) FROM (
        SELECT gaps_closed FROM (
            SELECT id, kind, gaps_closed, spent_requests FROM runs
            WHERE runs.connection_id = connections.id AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 10
        ) AS latest
        WHERE gaps_closed > 0 OR (kind = 'recovery' AND spent_requests > 0) ORDER BY id DESC LIMIT {VAIN_RUNS}
    ) AS trying
"""
# Due gaps are looked for only where no run is active: an active run decides itself. Gaps are read in their order, so
# that the first one of the index is enough.
_WAITS = text(f"""
    SELECT connections.id AS connection_id, connections.name AS connection, connections.connector, still_cause,
        CAST(state ->> 'interval_ms' AS double precision) AS interval_ms, state -> 'hold' AS hold, cooldown_until,
        CASE WHEN cooldown_until > now() THEN (SELECT true FROM gaps
            WHERE gaps.connection_id = connections.id AND {IS_PRESSED} ORDER BY next_attempt_at LIMIT 1)
            END IS NOT NULL AS pressed,
        coalesce(paused, false) AS paused, next_run_at,
        run.id AS run_id, run.created_at, run.not_before, run.wait_reason, run.rung_at, run.still_slices,
        coalesce(leases.expires_at > clock_timestamp(), false) AS leased,
        (SELECT touched_at FROM runs WHERE runs.connection_id = connections.id AND touched_at IS NOT NULL
            ORDER BY runs.id DESC LIMIT 1) AS touched_at,
        CASE WHEN run.id IS NULL THEN (SELECT next_attempt_at FROM gaps
            WHERE gaps.connection_id = connections.id AND {IS_DUE} ORDER BY next_attempt_at LIMIT 1) END AS due_at,
        ({_FAILING_SINCE}) AS failing_since, coalesce(({_IN_VAIN}), false) AS in_vain
    FROM connections
    LEFT JOIN rate_states ON rate_states.connection_id = connections.id
    LEFT JOIN schedules ON schedules.connection_id = connections.id
    LEFT JOIN runs AS run ON run.connection_id = connections.id AND run.{IS_ACTIVE}
    LEFT JOIN leases ON leases.connection_id = connections.id AND leases.run_id = run.id
    WHERE CAST(:ids AS bigint[]) IS NULL OR connections.id = ANY(CAST(:ids AS bigint[]))
    ORDER BY connections.name
""")


def read(connection: Connection, ids: Sequence[int] | None = None) -> list[Waits]:
    """All connections by name, or those with these ids."""
    rows = connection.execute(_WAITS, {"ids": None if ids is None else list(ids)}).mappings()
    return [_waits(dict(row)) for row in rows]


def _waits(row: dict[str, Any]) -> Waits:
    until, reason = _hold(row["hold"])
    run = None if row["run_id"] is None else build(ActiveRun, {**row, "id": row["run_id"]})
    return build(Waits, {**row, "hold_until": until, "hold_reason": reason, "run": run})


def _hold(stored: Any) -> tuple[datetime | None, str | None]:
    """The hold as the pacing keeps it, `{"until": ISO time, "reason": text}`; what is none counts as none."""
    try:
        until = datetime.fromisoformat(stored["until"])
        return (until, str(stored["reason"])) if until.tzinfo is not None else (None, None)
    except (KeyError, TypeError, ValueError):
        return None, None
