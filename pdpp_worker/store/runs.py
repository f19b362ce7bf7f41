"""Runs: queued once, notified when they are due, cancelled by their owner."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.errors import NotFoundError
from pdpp_worker.store.batch import Spent
from pdpp_worker.store.gaps.selection import GapFilter
from pdpp_worker.store.run_states import IS_ACTIVE
from pdpp_worker.store.tables import runs


class DueRun(NamedTuple):
    """A run that a worker should take up."""

    run_id: int
    connector: str
    turn: int | None = None
    """The slices that it has had: a message for an earlier turn is out of date. None: whichever turn it is."""


class Checkpoint(NamedTuple):
    """A committed cursor (exact JSON), the run that committed it, and the streams of which all up to it was walked.

    None: the version that wrote it did not note the streams.
    """

    cursor: str
    run_id: int
    covers: list[str] | None


LOST_S = 240.0
"""After so long a message is taken for lost, even where messages wait for workers; below the bound after which a run is
taken for one that nobody dispatches (`coverage.stillness.LEAST_BOUND`)."""

# One statement, with its event: a run that is active is locked and changes nothing, and one that ends meanwhile is
# none. A row that was inserted has no xmax yet.
_CREATE = text(f"""
    WITH one AS (
        INSERT INTO runs (connection_id, kind, trigger, mode, streams, selection, budget, connector_version)
        VALUES (:connection_id, :kind, :trigger, :mode, :streams, :selection, :budget, :version)
        ON CONFLICT (connection_id) WHERE {IS_ACTIVE} DO UPDATE SET trigger = runs.trigger
        RETURNING id, xmax = 0 AS created
    ), told AS (
        INSERT INTO events (connection_id, run_id, type, data)
        SELECT :connection_id, id, 'run_queued', :told FROM one WHERE created
    )
    SELECT id, created FROM one
""").bindparams(
    bindparam("streams", type_=JSONB),
    bindparam("selection", type_=JSONB),
    bindparam("budget", type_=JSONB),
    bindparam("told", type_=JSONB),
)
_NOTE_PROGRESS = text("""
    UPDATE runs SET idle_slices = CASE WHEN :alive THEN 0 ELSE idle_slices END,
        touched_at = CASE WHEN :touched THEN clock_timestamp() ELSE touched_at END, spent_s = spent_s + :seconds,
        spent_requests = spent_requests + :requests, spent_items = spent_items + :items
    WHERE id = :run_id
""")
# Fair across connections: the run that waits longest comes first, from the last time at which workers were told of it,
# so that runs which no worker can take do not fill every page. No second doorbell within the period.
_DUE = text(f"""
    UPDATE runs SET rung_at = clock_timestamp()
    FROM (
        SELECT runs.id, connections.connector FROM runs
        JOIN connections ON connections.id = runs.connection_id
        LEFT JOIN leases ON leases.connection_id = runs.connection_id
        WHERE runs.{IS_ACTIVE} AND runs.not_before <= clock_timestamp()
            AND (leases.expires_at IS NULL OR leases.expires_at <= clock_timestamp())
            AND (runs.rung_at IS NULL OR runs.rung_at <= clock_timestamp() - interval '1 second'
                * CASE WHEN connector = ANY(CAST(:ringing AS text[])) THEN :lost_s ELSE :again_s END)
        ORDER BY greatest(runs.not_before, runs.rung_at), runs.id LIMIT :limit
        FOR UPDATE OF runs SKIP LOCKED
    ) AS due
    WHERE runs.id = due.id
    RETURNING runs.id, due.connector, runs.slices, runs.not_before
""")
# A run that goes on slice by slice would get one more message at each tick of the dispatcher.
_MARK_NOTIFIED = text(f"""
    UPDATE runs SET rung_at = clock_timestamp()
    WHERE id = :run_id AND {IS_ACTIVE} AND rung_at IS NULL AND NOT EXISTS (SELECT 1 FROM leases
        WHERE leases.connection_id = runs.connection_id AND leases.expires_at > clock_timestamp())
    RETURNING slices
""")
# Who has the row locked makes a slice of it, or ends it.
_NOTE_GONE = text(f"""
    UPDATE runs SET rung_at = NULL
    FROM (SELECT id FROM runs WHERE id = :run_id AND {IS_ACTIVE} AND slices = coalesce(:turn, slices)
        FOR NO KEY UPDATE SKIP LOCKED) AS one
    WHERE runs.id = one.id
""")
# Those whose worker is gone: its slice has not ended, nobody renews its lease, and nobody was told since it began.
_WHERE_ABANDONED = f"""
        JOIN leases ON leases.connection_id = runs.connection_id
        WHERE runs.{IS_ACTIVE} AND runs.not_before <= clock_timestamp() AND died_slices > 0 AND rung_at IS NULL
            AND leases.expires_at <= clock_timestamp()
"""
_ABANDONED = text(f"""
    UPDATE runs SET rung_at = clock_timestamp()
    FROM (
        SELECT runs.id, connections.connector FROM runs
        JOIN connections ON connections.id = runs.connection_id
        {_WHERE_ABANDONED}
        ORDER BY leases.expires_at LIMIT :limit
        FOR UPDATE OF runs SKIP LOCKED
    ) AS due
    WHERE runs.id = due.id
    RETURNING runs.id, due.connector
""")
_ANY_ABANDONED = text(f"SELECT EXISTS (SELECT FROM runs {_WHERE_ABANDONED})")
# A wait of a run that only retries gaps is over when a walk is due, for which it makes room.
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
        "told": {"kind": kind, "trigger": trigger, "mode": mode, **({"cost": cost} if cost else {})},
    }
    run_id, created = connection.execute(_CREATE, values).one()
    return run_id, created


def note_progress(connection: Connection, run_id: int, spent: Spent, *, alive: bool, touched: bool) -> None:
    """Add what a batch has spent of the run's budget.

    `alive`: it changed something, so that the run goes on. `touched`: it asked for something, or something came.
    """
    connection.execute(_NOTE_PROGRESS, {"run_id": run_id, "alive": alive, "touched": touched, **spent._asdict()})


def count_refused(connection: Connection, run_id: int, refused: Mapping[str, int]) -> None:
    """Add messages that were refused, by message type and member, to those of the run."""
    connection.execute(_COUNT_REFUSED, {"run_id": run_id, "refused": dict(refused)})


def take_due(connection: Connection, limit: int, again: timedelta, ringing: Collection[str] = ()) -> list[DueRun]:
    """The runs that a worker should be told of now, marked as told; the one that waits longest comes first.

    One is told of again after `again`; a run of the connectors `ringing`, whose last message may still wait for a
    worker, only after `LOST_S`.
    """
    connection.execute(_WAKE)
    values = {"limit": limit, "again_s": again.total_seconds(), "lost_s": LOST_S, "ringing": list(ringing)}
    rows = connection.execute(_DUE, values).all()
    return [DueRun(row.id, row.connector, row.slices) for row in sorted(rows, key=lambda row: (row.not_before, row.id))]


def mark_notified(connection: Connection, due: DueRun) -> DueRun | None:
    """Mark a run as one that workers are told of, and say for which turn.

    None: they were told already, somebody is at it, or it is over.
    """
    turn = connection.execute(_MARK_NOTIFIED, {"run_id": due.run_id}).scalar()
    return None if turn is None else due._replace(turn=turn)


def note_message_gone(connection: Connection, run_id: int, turn: int | None) -> None:
    """Note that a worker took the message of this turn, and could not begin a slice: the dispatcher may send another.

    Else it would be awaited for `LOST_S` wherever others wait for workers.
    """
    connection.execute(_NOTE_GONE, {"run_id": run_id, "turn": turn})


def take_abandoned(connection: Connection, limit: int) -> list[DueRun]:
    """The runs whose worker is gone, marked as told: a worker should be told of each now."""
    return [DueRun(*row) for row in connection.execute(_ABANDONED, {"limit": limit})]


def any_abandoned(connection: Connection) -> bool:
    """Whether a run whose worker is gone was not taken: its row is locked, as by a host that is cut off."""
    return bool(connection.execute(_ANY_ABANDONED).scalar_one())


def request_cancel(connection: Connection, connection_id: int) -> int | None:
    """Ask the active run of a connection to stop; None when there is none."""
    run_id: int | None = connection.execute(_CANCEL, {"connection_id": connection_id}).scalar()
    return run_id


def needed_budget_s(connection: Connection, connection_id: int) -> float | None:
    """The working time, s, that the last walk of a connection was short of; None: it had enough."""
    needed: float | None = connection.execute(_NEEDED_BUDGET, {"connection_id": connection_id}).scalar()
    return needed


def committed_state(connection: Connection, connection_id: int) -> dict[str, Checkpoint]:
    """Stream to its committed checkpoint."""
    rows = connection.execute(
        text("SELECT stream, cursor, run_id, covers FROM checkpoints WHERE connection_id = :id"), {"id": connection_id}
    )
    return {row.stream: Checkpoint(row.cursor, row.run_id, row.covers) for row in rows}


def status(connection: Connection, run_id: int) -> str:
    """The status of a run.

    Raises:
        NotFoundError: there is no such run.
    """
    found = connection.execute(select(runs.c.status).where(runs.c.id == run_id)).scalar()
    if found is None:
        raise NotFoundError(f"There is no run {run_id}; see: pdpp-worker runs")
    return str(found)
