"""What people ask of the store, as plain rows: connections, runs, gaps, events, status. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, text

from pdpp_worker.errors import NotFoundError

PAGE = 500
"""Rows held at once by whoever reads a stream of them."""

STORED = "stored (encrypted)"

Row = TypeVar("Row")


@dataclass(frozen=True)
class ConnectionView:
    """A connection with its schedule and its last run; `credentials` says where each one is kept, never what it is."""

    id: int
    name: str
    connector: str
    settings: dict[str, Any]
    credentials: dict[str, str]
    min_interval_ms: float | None
    created_at: datetime
    every_s: float | None
    cron: str | None
    jitter_s: float | None
    paused: bool | None
    next_run_at: datetime | None
    schedule_error: str | None
    """Why the schedule could not be followed the last time it came round."""
    last_run_id: int | None
    last_run_status: str | None
    last_run_at: datetime | None
    """When the last run ended, else when it started or was queued."""
    last_run_leased: bool
    """Whether a worker is at it."""


@dataclass(frozen=True)
class RunView:
    """A run. Counts grow while it works; what only its end can tell is None until then."""

    id: int
    connection_id: int
    connection: str
    connector: str
    kind: str
    trigger: str
    mode: str
    status: str
    connector_version: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    not_before: datetime
    slices: int
    still_slices: int
    """Its last slices in a row that ended in good order without progress."""
    cancel_requested: bool
    leased: bool
    """Whether a worker is at it now."""
    records_emitted: int
    records_flushed: int
    records_unchanged: int
    records_rejected: int
    records_durable: int
    checkpoints_staged: int
    checkpoints_committed: int
    skipped: int | None
    unreached: int | None
    unfinished_streams: int | None
    records_missing_estimate: int | None
    skipped_by_reason: dict[str, int]
    gaps_tried: int
    """Known gaps that were asked for."""
    gaps_closed: int | None
    retry_hint: dict[str, Any] | None
    error: str | None


@dataclass(frozen=True)
class RunStreamView:
    """The books of one stream of a run; `considered` is None until they are closed."""

    stream: str
    state: str
    considered: int | None
    records_emitted: int
    records_flushed: int
    records_unchanged: int
    records_rejected: int
    skipped: int
    unreached: int
    records_missing_estimate: int | None
    skipped_by_reason: dict[str, int]
    checkpoints_staged: int
    checkpoints_committed: int
    progress_count: int | None
    progress_total: int | None
    error: str | None


@dataclass(frozen=True)
class GapView:
    """Something that is, or was, missing."""

    id: int
    connection: str
    connector: str
    stream: str
    scope: dict[str, Any]
    reason: str
    recovery_kind: str
    status: str
    attempts: int
    first_run_id: int
    last_run_id: int
    opened_at: datetime
    closed_at: datetime | None
    next_attempt_at: datetime | None
    connector_version_seen: str
    connector_version_required: str | None
    last_error: str | None

    @property
    def exhausted(self) -> bool:
        """Whether it was given up after many tries."""
        return self.status == "exhausted"


@dataclass(frozen=True)
class EventView:
    """One line of what happened."""

    id: int
    at: datetime
    connection: str
    run_id: int | None
    stream: str | None
    type: str
    data: dict[str, Any]


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


_CONNECTIONS = text("""
    SELECT connections.*, every_s, cron, jitter_s, paused, next_run_at, schedules.error AS schedule_error,
        last.id AS last_run_id,
        last.status AS last_run_status, coalesce(last.ended_at, last.started_at, last.created_at) AS last_run_at,
        coalesce(leases.expires_at > clock_timestamp(), false) AS last_run_leased
    FROM connections LEFT JOIN schedules ON schedules.connection_id = connections.id
    LEFT JOIN LATERAL (
        SELECT * FROM runs WHERE runs.connection_id = connections.id ORDER BY runs.id DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN leases ON leases.connection_id = connections.id AND leases.run_id = last.id
    WHERE CAST(:ids AS bigint[]) IS NULL OR connections.id = ANY(:ids)
    ORDER BY connections.name
""")
# The books of a run are summed from its streams, which are current while it works.
_RUNS = """
    SELECT runs.id, runs.connection_id, runs.kind, runs.trigger, runs.mode, runs.status, runs.connector_version,
        runs.created_at, runs.started_at, runs.ended_at, runs.not_before, runs.slices, runs.still_slices,
        runs.cancel_requested, runs.skipped_by_reason, runs.records_missing_estimate, runs.retry_hint, runs.error,
        connections.name AS connection, connections.connector, books.*,
        coalesce(leases.expires_at > clock_timestamp(), false) AS leased,
        runs.spent_items AS gaps_tried, CASE WHEN runs.ended_at IS NOT NULL THEN runs.gaps_closed END AS gaps_closed,
        CASE WHEN runs.ended_at IS NOT NULL THEN runs.skipped END AS skipped,
        CASE WHEN runs.ended_at IS NOT NULL THEN runs.unreached END AS unreached,
        CASE WHEN runs.ended_at IS NOT NULL THEN runs.unfinished_streams END AS unfinished_streams
    FROM runs JOIN connections ON connections.id = runs.connection_id
    LEFT JOIN leases ON leases.connection_id = runs.connection_id AND leases.run_id = runs.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(records_emitted), 0)::bigint AS records_emitted,
            coalesce(sum(records_flushed), 0)::bigint AS records_flushed,
            coalesce(sum(records_unchanged), 0)::bigint AS records_unchanged,
            coalesce(sum(records_rejected), 0)::bigint AS records_rejected,
            coalesce(sum(records_flushed + records_unchanged), 0)::bigint AS records_durable,
            coalesce(sum(checkpoints_staged), 0)::bigint AS checkpoints_staged,
            coalesce(sum(checkpoints_committed), 0)::bigint AS checkpoints_committed
        FROM run_streams WHERE run_id = runs.id
    ) AS books
"""
_RECENT_RUNS = text(
    f"{_RUNS} WHERE CAST(:id AS bigint) IS NULL OR runs.connection_id = :id ORDER BY runs.id DESC LIMIT :limit"
)
_RUN = text(f"{_RUNS} WHERE runs.id = :run_id")
_RUN_STREAMS = text("SELECT * FROM run_streams WHERE run_id = :run_id ORDER BY stream")
_GAPS = text("""
    SELECT gaps.*, connections.name AS connection, connections.connector
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE gaps.connection_id = ANY(:ids) AND (:closed_too OR closed_at IS NULL)
        AND (CAST(:reason AS text) IS NULL OR reason = :reason)
    ORDER BY connections.name, stream, gaps.id LIMIT :limit
""").execution_options(stream_results=True, yield_per=PAGE)
_EVENTS = text("""
    SELECT events.*, connections.name AS connection
    FROM events JOIN connections ON connections.id = events.connection_id
    WHERE events.id > :after AND (CAST(:id AS bigint) IS NULL OR events.connection_id = :id)
    ORDER BY events.id DESC LIMIT :limit
""")
_OVERVIEW = text("""
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
    WHERE runs.status IN ('queued', 'running')
""")
_STATED_COST = text("SELECT data -> 'cost' FROM events WHERE run_id = :run_id AND type = 'run_queued'")
_RECORDS_HELD = text("SELECT count(*) FROM records WHERE connection_id = :id")


def connection_views(connection: Connection, ids: Sequence[int] | None = None) -> list[ConnectionView]:
    """All connections by name, or those with these ids."""
    values = {"ids": list(ids) if ids is not None else None}
    rows = connection.execute(_CONNECTIONS, values).mappings()
    return [build(ConnectionView, {**row, "credentials": _forms(row["credentials"])}) for row in rows]


def run_views(connection: Connection, connection_id: int | None, limit: int) -> list[RunView]:
    """The latest runs, newest first, of one connection or of all."""
    rows = connection.execute(_RECENT_RUNS, {"id": connection_id, "limit": limit}).mappings()
    return [build(RunView, row) for row in rows]


def run_view(connection: Connection, run_id: int) -> RunView:
    """One run.

    Raises:
        NotFoundError: there is no such run.
    """
    row = connection.execute(_RUN, {"run_id": run_id}).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"There is no run {run_id}; see: pdpp-worker runs")
    return build(RunView, row)


def stated_cost(connection: Connection, run_id: int) -> dict[str, Any]:
    """What a run that goes back for gaps was expected to take when it was queued: items, interval_ms, seconds."""
    cost: dict[str, Any] = connection.execute(_STATED_COST, {"run_id": run_id}).scalar_one()
    return cost


def run_streams(connection: Connection, run_id: int) -> list[RunStreamView]:
    """The books of a run, stream by stream."""
    return [build(RunStreamView, row) for row in connection.execute(_RUN_STREAMS, {"run_id": run_id}).mappings()]


def gaps(
    connection: Connection, ids: Sequence[int], *, closed_too: bool, reason: str | None, limit: int | None
) -> Iterator[GapView]:
    """The gaps of these connections, streamed from the server."""
    values = {"ids": list(ids), "closed_too": closed_too, "reason": reason, "limit": limit}
    for row in connection.execute(_GAPS, values).mappings():
        yield build(GapView, row)


def events(connection: Connection, connection_id: int | None, *, after: int, limit: int) -> list[EventView]:
    """The latest events with an id above `after`, oldest first, of one connection or of all."""
    rows = connection.execute(_EVENTS, {"id": connection_id, "after": after, "limit": limit}).mappings().all()
    return [build(EventView, row) for row in reversed(rows)]


def overview(connection: Connection) -> Overview:
    """A few numbers that are cheap to read again and again."""
    return build(Overview, connection.execute(_OVERVIEW).mappings().one())


def records_held(connection: Connection, connection_id: int) -> int:
    """How many records are kept of a connection, deleted ones included."""
    return int(connection.execute(_RECORDS_HELD, {"id": connection_id}).scalar_one())


def _forms(credentials: dict[str, str]) -> dict[str, str]:
    return {
        name: stored if stored.startswith(("env:", "file:")) else STORED for name, stored in sorted(credentials.items())
    }


def build(model: type[Row], row: RowMapping | dict[str, Any]) -> Row:
    """A dataclass from the columns of a row that have its fields' names."""
    return model(**{field.name: row[field.name] for field in fields(model)})  # type: ignore[arg-type]
