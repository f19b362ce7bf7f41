"""Runs and their slices: created once, claimed by one worker at a time, ended by a derived status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.errors import NotFoundError
from pdpp_worker.store import events, leases
from pdpp_worker.store.batch import Claim, Spent
from pdpp_worker.store.connections import ConnectionRow, by_id
from pdpp_worker.store.gaps.selection import GapFilter
from pdpp_worker.store.tables import IS_ACTIVE, runs


class DueRun(NamedTuple):
    """A run that a worker should take up."""

    run_id: int
    connector: str


@dataclass(frozen=True)
class Slice:
    """A claimed piece of a run."""

    claim: Claim
    connection: ConnectionRow
    kind: str
    trigger: Literal["schedule", "sweep", "manual", "upgrade"]
    mode: str
    streams: list[dict[str, Any]]
    phase: Literal["recover", "walk", "drain"]
    selection: GapFilter
    carried: dict[str, Any]
    """Facts that later slices need of earlier ones: `cursors`, the checkpoint streams that had one when the run
    began; `walk`, how the walk ended; `recovery_error`, why going back
    for gaps failed."""
    budget: dict[str, Any]
    spent: Spent
    idle_before: int
    """Slices in a row before this one that died without committing anything."""
    died_before: int
    """Slices in a row before this one that did not end in good order."""
    still_before: int
    """Slices in a row before this one that ended in good order without progress."""
    cancel_requested: bool
    now: datetime
    """The database's time when the slice began."""
    version: str
    """Of the connector that the run belongs to: the one that worked it last, or for which it was queued."""


# One statement: a run that is active is locked and changes nothing, and one that ends meanwhile is none. A row that was
# inserted has no xmax yet.
_CREATE = text(f"""
    INSERT INTO runs (connection_id, kind, trigger, mode, streams, selection, budget, connector_version)
    VALUES (:connection_id, :kind, :trigger, :mode, :streams, :selection, :budget, :version)
    ON CONFLICT (connection_id) WHERE {IS_ACTIVE} DO UPDATE SET trigger = runs.trigger
    RETURNING id, xmax = 0 AS created
""").bindparams(
    bindparam("streams", type_=JSONB), bindparam("selection", type_=JSONB), bindparam("budget", type_=JSONB)
)
# A doorbell may come a little early, by another clock than the database's; the worker then waits for the rest.
_IF_DUE = f"""
    SELECT * FROM runs WHERE id = :run_id AND {IS_ACTIVE}
        AND not_before <= clock_timestamp() + interval '1 second'
"""
_FIND_DUE, _LOCK_DUE = text(_IF_DUE), text(f"{_IF_DUE} FOR UPDATE")
_BEGIN_SLICE = text("""
    UPDATE runs SET status = 'running', started_at = coalesce(started_at, clock_timestamp()), slices = slices + 1,
        idle_slices = idle_slices + 1, died_slices = died_slices + 1, rung_at = clock_timestamp(),
        carried = CASE WHEN slices > 0 THEN carried
            ELSE jsonb_build_object('cursors', (SELECT coalesce(jsonb_agg(stream), '[]') FROM checkpoints
                WHERE checkpoints.connection_id = runs.connection_id)) END
    WHERE id = :run_id RETURNING slices, carried, clock_timestamp() AS now
""")
# A wait with a reason is no standstill, so it counts as a touch until it is over; one without a reason does not.
_CONTINUE = text("""
    UPDATE runs SET not_before = coalesce(:not_before, clock_timestamp()), rung_at = NULL,
        wait_reason = :wait_reason, idle_slices = 0, died_slices = 0, phase = :phase, carried = carried || :carried,
        still_slices = CASE WHEN :progressed THEN 0 ELSE still_slices + 1 END,
        touched_at = greatest(touched_at, CASE WHEN :progressed THEN clock_timestamp() END,
            CASE WHEN CAST(:wait_reason AS text) IS NOT NULL THEN CAST(:not_before AS timestamptz) END)
    WHERE id = :run_id
""").bindparams(bindparam("carried", type_=JSONB))
# Only new rows, gaps or checkpoints reset idle_slices. Otherwise a slice that always dies at one position would run for
# ever.
_NOTE_PROGRESS = text("""
    UPDATE runs SET idle_slices = CASE WHEN :alive THEN 0 ELSE idle_slices END,
        touched_at = CASE WHEN :touched THEN clock_timestamp() ELSE touched_at END, spent_s = spent_s + :seconds,
        spent_requests = spent_requests + :requests, spent_items = spent_items + :items
    WHERE id = :run_id
""")
# A version that was installed since the run was queued is the one that is told what it could not read.
_WORKED_BY = text("""
    UPDATE runs SET connector_version = :version WHERE id = :run_id AND connector_version <> :version
""")
# Fair across connections: the run that waits longest comes first. No second doorbell within the period.
_DUE = text(f"""
    UPDATE runs SET rung_at = clock_timestamp()
    FROM (
        SELECT runs.id, connections.connector FROM runs
        JOIN connections ON connections.id = runs.connection_id
        LEFT JOIN leases ON leases.connection_id = runs.connection_id
        WHERE runs.{IS_ACTIVE} AND runs.not_before <= clock_timestamp()
            AND (leases.expires_at IS NULL OR leases.expires_at <= clock_timestamp())
            AND (runs.rung_at IS NULL OR runs.rung_at <= clock_timestamp() - :again_s * interval '1 second')
        ORDER BY runs.not_before LIMIT :limit
        FOR UPDATE OF runs SKIP LOCKED
    ) AS due
    WHERE runs.id = due.id
    RETURNING runs.id, due.connector
""")
# A wait of a run that only goes back for gaps is over when a walk is due, for which it makes room.
_WAKE = text(f"""
    UPDATE runs SET not_before = clock_timestamp(), rung_at = NULL, wait_reason = NULL
    FROM (
        SELECT runs.id FROM runs JOIN schedules ON schedules.connection_id = runs.connection_id
        WHERE runs.{IS_ACTIVE} AND runs.not_before > clock_timestamp()
            AND (kind = 'recovery' OR phase = 'drain') AND NOT paused AND next_run_at <= clock_timestamp()
        FOR UPDATE OF runs SKIP LOCKED
    ) AS waiting
    WHERE runs.id = waiting.id
""")
_NEEDED_BUDGET = text("""
    SELECT CAST(retry_hint ->> 'budget_s' AS double precision) FROM runs
    WHERE connection_id = :connection_id AND kind = 'forward' AND (status = 'succeeded' OR retry_hint ? 'budget_s')
    ORDER BY id DESC LIMIT 1
""")
_CANCEL = text(f"""
    UPDATE runs SET cancel_requested = true, not_before = clock_timestamp(), rung_at = NULL, wait_reason = NULL,
        touched_at = least(touched_at, clock_timestamp())
    WHERE connection_id = :connection_id AND {IS_ACTIVE} RETURNING id
""")
_COUNT_REFUSED = text("""
    UPDATE runs SET messages_refused = (
        SELECT jsonb_object_agg(name, total) FROM (
            SELECT key AS name, sum(value::bigint) AS total FROM (
                SELECT * FROM jsonb_each_text(messages_refused) UNION ALL SELECT * FROM jsonb_each_text(:refused)
            ) AS counted GROUP BY key
        ) AS added
    ) WHERE id = :run_id
""").bindparams(bindparam("refused", type_=JSONB))


def create(
    connection: Connection,
    connection_id: int,
    *,
    kind: str = "forward",
    trigger: str,
    mode: str = "incremental",
    streams: Sequence[dict[str, Any]],
    version: str,
    selection: GapFilter = GapFilter(),  # noqa: B008 - a tuple, which nobody can change
    budget: dict[str, Any] | None = None,
    cost: dict[str, Any] | None = None,
) -> tuple[int, bool]:
    """Queue a run, or find the one that is active: a connection has one at a time. Returns (run id, created).

    `cost` is what it is expected to take, for the record.
    """
    values = {
        "connection_id": connection_id,
        "kind": kind,
        "trigger": trigger,
        "mode": mode,
        "streams": list(streams),
        "version": version,
        "selection": {name: value for name, value in selection._asdict().items() if value is not None},
        "budget": budget or {},
    }
    run_id, created = connection.execute(_CREATE, values).one()
    if created:
        data = {"kind": kind, "trigger": trigger, "mode": mode, **({"cost": cost} if cost else {})}
        events.append(connection, connection_id, run_id, [("run_queued", None, data)])
    return run_id, created


def claim_slice(connection: Connection, run_id: int, holder: str, lease_s: float) -> Slice | None:
    """Take up a run: None when it is over, not due, or somebody else is at it (two doorbells for one run)."""
    found = connection.execute(_FIND_DUE, {"run_id": run_id}).mappings().one_or_none()
    if found is None:
        return None
    claim = leases.acquire(connection, found["connection_id"], run_id, holder, lease_s)
    if claim is None:
        return None
    # The lease is locked before the run, as in every batch, so that the two never wait for each other.
    run = connection.execute(_LOCK_DUE, {"run_id": run_id}).mappings().one_or_none()
    if run is None:
        leases.release(connection, claim)
        return None
    begun = connection.execute(_BEGIN_SLICE, {"run_id": run_id}).one()
    kind = "run_started" if begun.slices == 1 else "slice_started"
    events.append(connection, claim.connection_id, run_id, [(kind, None, {"slice": begun.slices, "holder": holder})])
    row = by_id(connection, claim.connection_id)
    return Slice(
        claim=replace(claim, credentials_version=row.credentials_version),
        connection=row,
        kind=run["kind"],
        trigger=run["trigger"],
        mode=run["mode"],
        streams=run["streams"],
        phase=run["phase"],
        selection=GapFilter(**run["selection"]),
        carried=begun.carried,
        budget=run["budget"],
        spent=Spent(run["spent_s"], run["spent_requests"], run["spent_items"]),
        idle_before=run["idle_slices"],
        died_before=run["died_slices"],
        still_before=run["still_slices"],
        cancel_requested=run["cancel_requested"],
        now=begun.now,
        version=run["connector_version"],
    )


def begin_slice(connection: Connection, claim: Claim, version: str) -> None:
    """Lock the lease for this transaction, and note which version of the connector works from now on.

    Raises:
        LeaseLostError: another worker holds the connection.
    """
    leases.renew(connection, claim)
    connection.execute(_WORKED_BY, {"run_id": claim.run_id, "version": version})


def note_progress(connection: Connection, run_id: int, spent: Spent, *, alive: bool, touched: bool) -> None:
    """Add what a batch has spent of the run's budget.

    `alive`: it changed something, so that the run goes on. `touched`: it asked for something, or something came.
    """
    connection.execute(_NOTE_PROGRESS, {"run_id": run_id, "alive": alive, "touched": touched, **spent._asdict()})


def continue_later(
    connection: Connection,
    claim: Claim,
    not_before: datetime | None,
    phase: str,
    carried: dict[str, Any],
    *,
    wait_reason: str | None = None,
    progressed: bool = True,
) -> bool:
    """End a slice in good order, not its run: the dispatcher finds the rest at `not_before` (None: now).

    Returns whether the owner asked the run to stop meanwhile: then it waits for nothing.

    `wait_reason` says why the run waits until then, in a phrase for its owner; None: it waits for a worker only.
    `progressed` is False for a slice in which no request was answered well and nothing was committed.

    Raises:
        LeaseLostError: another worker holds the connection.
    """
    cancelled = leases.renew(connection, claim)
    if cancelled:
        not_before = wait_reason = None
    values = {
        "run_id": claim.run_id,
        "not_before": not_before,
        "phase": phase,
        "carried": carried,
        "wait_reason": wait_reason,
        "progressed": progressed,
    }
    connection.execute(_CONTINUE, values)
    data = {
        **({"not_before": not_before.isoformat()} if not_before is not None else {}),
        **({"wait_reason": wait_reason} if wait_reason is not None else {}),
    }
    events.append(connection, claim.connection_id, claim.run_id, [("slice_ended", None, data)])
    leases.release(connection, claim)
    return cancelled


def count_refused(connection: Connection, run_id: int, refused: Mapping[str, int]) -> None:
    """Add messages that were refused, by message type and member, to those of the run."""
    connection.execute(_COUNT_REFUSED, {"run_id": run_id, "refused": dict(refused)})


def take_due(connection: Connection, limit: int, again: timedelta) -> list[DueRun]:
    """The runs that a worker should be told of now, marked as told."""
    connection.execute(_WAKE)
    rows = connection.execute(_DUE, {"limit": limit, "again_s": again.total_seconds()})
    return [DueRun(*row) for row in rows]


def request_cancel(connection: Connection, connection_id: int) -> int | None:
    """Ask the active run of a connection to stop; None when there is none."""
    run_id: int | None = connection.execute(_CANCEL, {"connection_id": connection_id}).scalar()
    return run_id


def needed_budget_s(connection: Connection, connection_id: int) -> float | None:
    """The working time, s, that the last walk of a connection was short of; None: it had enough."""
    needed: float | None = connection.execute(_NEEDED_BUDGET, {"connection_id": connection_id}).scalar()
    return needed


def committed_state(connection: Connection, connection_id: int) -> dict[str, tuple[str, int]]:
    """Stream to its committed cursor (exact JSON) and the run that committed it."""
    rows = connection.execute(
        text("SELECT stream, cursor, run_id FROM checkpoints WHERE connection_id = :id"), {"id": connection_id}
    )
    return {row.stream: (row.cursor, row.run_id) for row in rows}


def status(connection: Connection, run_id: int) -> str:
    """The status of a run.

    Raises:
        NotFoundError: there is no such run.
    """
    found = connection.execute(select(runs.c.status).where(runs.c.id == run_id)).scalar()
    if found is None:
        raise NotFoundError(f"There is no run {run_id}; see: pdpp-worker runs")
    return str(found)
