"""Runs and their stream counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pdpp_worker.errors import NotFoundError
from pdpp_worker.store.run_states import RUN_STATUSES
from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection

STATUSES = RUN_STATUSES


@dataclass(frozen=True)
class RunView:
    """A run. Counts grow while it works; those that only its end can tell are None until then."""

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
    messages_refused: dict[str, int]
    """Message type and wrong member to how many messages were refused."""
    gaps_tried: int
    """Known gaps that were asked for."""
    gaps_closed: int | None
    retry_hint: dict[str, Any] | None
    error: str | None


class RunCost(NamedTuple):
    """Items to ask for, one every `interval_ms`; `learned` is False where the interval is that of a cold start."""

    items: int
    interval_ms: float
    learned: bool


@dataclass(frozen=True)
class RunStreamView:
    """The counts of one stream of a run; `considered` is None until the stream is over."""

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


# The stream counts of a run are summed from its streams, which are current while it works.
_RUNS = """
    SELECT runs.id, runs.connection_id, runs.kind, runs.trigger, runs.mode, runs.status, runs.connector_version,
        runs.created_at, runs.started_at, runs.ended_at, runs.not_before, runs.slices, runs.still_slices,
        runs.cancel_requested, runs.skipped_by_reason, runs.messages_refused, runs.records_missing_estimate,
        runs.retry_hint, runs.error,
        connections.name AS connection, connections.connector, counts.*,
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
    ) AS counts
"""
_RECENT_RUNS = text(
    f"{_RUNS} WHERE CAST(:id AS bigint) IS NULL OR runs.connection_id = :id ORDER BY runs.id DESC LIMIT :limit"
)
_FOUND_RUNS = text(f"""{_RUNS}
    WHERE (CAST(:connection_id AS bigint) IS NULL OR runs.connection_id = :connection_id)
        AND (CAST(:status AS text) IS NULL OR runs.status = :status)
        AND (CAST(:reason AS text) IS NULL OR runs.skipped_by_reason ? CAST(:reason AS text))
        AND (CAST(:since AS timestamptz) IS NULL OR runs.created_at >= :since)
        AND (CAST(:until AS timestamptz) IS NULL OR runs.created_at < :until)
        AND (CAST(:before AS bigint) IS NULL OR runs.id < :before)
    ORDER BY runs.id DESC LIMIT :limit
""")
_RUN = text(f"{_RUNS} WHERE runs.id = :run_id")
_RUN_STREAMS = text("SELECT * FROM run_streams WHERE run_id = :run_id ORDER BY stream")
# Nobody can tell while a stream is still to begin.
_LEFT = text("""
    SELECT CASE WHEN bool_and(progress_total IS NOT NULL OR streams.records_emitted > 0 OR streams.state = 'finished'
            OR stream = ANY(CAST(:below AS text[])))
        THEN min(runs.spent_s) * sum(greatest(progress_total - coalesce(progress_count, 0), 0))
            / nullif(sum(least(progress_count, progress_total)), 0) END AS left_s
    FROM run_streams AS streams JOIN runs ON runs.id = run_id WHERE run_id = :run_id
""")
_STATED_COST = text("SELECT data -> 'cost' FROM events WHERE run_id = :run_id AND type = 'run_queued'")


class RunFilter(NamedTuple):
    """Which runs are looked for; None is all. `before` is the number of the last one of the page before."""

    connection_id: int | None = None
    status: str | None = None
    reason: str | None = None
    """A reason for which it skipped something."""
    since: datetime | None = None
    """When it was queued at the earliest."""
    until: datetime | None = None
    before: int | None = None
    limit: int = 50


def found(connection: Connection, chosen: RunFilter) -> list[RunView]:
    """The runs that are looked for, newest first."""
    return [build(RunView, row) for row in connection.execute(_FOUND_RUNS, chosen._asdict()).mappings()]


def latest(connection: Connection, connection_id: int | None, limit: int) -> list[RunView]:
    """The latest runs, newest first, of one connection or of all."""
    rows = connection.execute(_RECENT_RUNS, {"id": connection_id, "limit": limit}).mappings()
    return [build(RunView, row) for row in rows]


def one(connection: Connection, run_id: int) -> RunView:
    """One run.

    Raises:
        NotFoundError: there is no such run.
    """
    row = connection.execute(_RUN, {"run_id": run_id}).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"There is no run {run_id}; see: pdpp-worker runs")
    return build(RunView, row)


def stated_cost(connection: Connection, run_id: int) -> RunCost:
    """The cost that a run which retries gaps was expected to have when it was queued."""
    cost: dict[str, Any] = connection.execute(_STATED_COST, {"run_id": run_id}).scalar_one()
    return RunCost(cost["items"], cost["interval_ms"], cost["learned"])


def left_s(connection: Connection, run_id: int, below: Collection[str] = ()) -> float | None:
    """The working time that a run has left at its pace so far, s; None: nobody can tell.

    Streams of which nothing was met yet may be long; those `below` others come along with these.
    """
    found = connection.execute(_LEFT, {"run_id": run_id, "below": list(below)}).scalar_one()
    return None if found is None else float(found)


def streams(connection: Connection, run_id: int) -> list[RunStreamView]:
    """The counts of a run, stream by stream."""
    return [build(RunStreamView, row) for row in connection.execute(_RUN_STREAMS, {"run_id": run_id}).mappings()]
