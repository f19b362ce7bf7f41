"""The transaction that ends a run: the books are closed and the derived status is written, or neither."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store import coverage_rows, events, leases, schedules
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.values import storable


@dataclass(frozen=True)
class StreamBooks:
    """What a run did in one stream, counted from the rows."""

    stream: str
    emitted: int
    flushed: int
    unchanged: int
    rejected: int
    staged: int
    committed: int
    progress_count: int | None
    progress_total: int | None
    skipped_by_reason: dict[str, int]
    all_gaps_are_resources: bool
    holds_records: bool
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class StreamEnd:
    """How a stream of a run ended; `missing` is None where nobody can know."""

    books: StreamBooks
    finished: bool
    unreached: int
    missing: int | None
    error: str | None


class Walk(NamedTuple):
    """A stream was walked to its end: whether without a cursor, and whether the walk says nothing of the rest of it."""

    from_scratch: bool
    bounded: bool


# A rejected record is counted as rejected; its gap is the way back to it and not another miss.
_ENSURE = text("INSERT INTO run_streams (run_id, stream) VALUES (:run_id, :stream) ON CONFLICT DO NOTHING")
_BOOKS = text("""
    SELECT run_streams.*, coalesce(missing.by_reason, '{}') AS by_reason,
        coalesce(missing.resources, true) AS resources, missing.next_attempt_at,
        EXISTS (SELECT 1 FROM records WHERE connection_id = :connection_id AND records.stream = run_streams.stream
            AND deleted_at IS NULL) AS holds_records
    FROM run_streams
    LEFT JOIN (
        SELECT stream, jsonb_object_agg(reason, count) AS by_reason, bool_and(resources) AS resources,
            min(next_attempt_at) AS next_attempt_at
        FROM (
            SELECT stream, reason, count(*), bool_and(scope ? 'resource_id') AS resources,
                min(next_attempt_at) FILTER (WHERE status = 'open') AS next_attempt_at
            FROM gaps WHERE last_run_id = :run_id AND closed_at IS NULL AND reason <> 'record_rejected'
            GROUP BY stream, reason
        ) AS counted GROUP BY stream
    ) AS missing ON missing.stream = run_streams.stream
    WHERE run_id = :run_id ORDER BY run_streams.stream
""")
# What the owner waived meanwhile was closed by nobody's work.
_GAPS_CLOSED = text("""
    SELECT count(*) FROM gaps WHERE last_run_id = :run_id AND status IN ('recovered', 'absent_upstream')
""")
_FAILED_PARTITIONS = text("""
    SELECT scope -> 'partition' AS partition FROM gaps
    WHERE last_run_id = :run_id AND connection_id = :connection_id AND closed_at IS NULL
        AND scope -> 'partition' <> '{}' ORDER BY id LIMIT :limit
""")
_END_STREAM = text("""
    UPDATE run_streams SET state = :state, skipped = :skipped, unreached = :unreached,
        records_missing_estimate = :missing, skipped_by_reason = :by_reason, error = :error,
        considered = records_emitted + :skipped + :unreached
    WHERE run_id = :run_id AND stream = :stream
""").bindparams(bindparam("by_reason", type_=JSONB))
_END_RUN = text("""
    UPDATE runs SET status = :status, ended_at = clock_timestamp(), retry_hint = :retry_hint, error = :error,
        records_emitted = total.emitted, records_flushed = total.flushed, records_unchanged = total.unchanged,
        records_rejected = total.rejected, skipped = total.skipped, unreached = total.unreached,
        checkpoints_staged = total.staged, checkpoints_committed = total.committed,
        records_durable = total.flushed + total.unchanged, records_missing_estimate = total.missing,
        gaps_closed = :gaps_closed, unfinished_streams = total.unfinished, skipped_by_reason = :by_reason
    FROM (
        SELECT coalesce(sum(records_emitted), 0) AS emitted, coalesce(sum(records_flushed), 0) AS flushed,
            coalesce(sum(records_unchanged), 0) AS unchanged, coalesce(sum(records_rejected), 0) AS rejected,
            coalesce(sum(skipped), 0) AS skipped, coalesce(sum(unreached), 0) AS unreached,
            coalesce(sum(checkpoints_staged), 0) AS staged, coalesce(sum(checkpoints_committed), 0) AS committed,
            CASE WHEN bool_and(records_missing_estimate IS NOT NULL) THEN sum(records_missing_estimate) END AS missing,
            count(*) FILTER (WHERE state <> 'finished') AS unfinished
        FROM run_streams WHERE run_id = :run_id
    ) AS total
    WHERE id = :run_id
""").bindparams(bindparam("by_reason", type_=JSONB), bindparam("retry_hint", type_=JSONB(none_as_null=True)))


def books(connection: Connection, claim: Claim, streams: Collection[str]) -> list[StreamBooks]:
    """Count what the run did, stream by stream; every stream in scope has a row, touched or not."""
    for stream in sorted(streams):
        connection.execute(_ENSURE, {"run_id": claim.run_id, "stream": stream})
    rows = connection.execute(_BOOKS, {"run_id": claim.run_id, "connection_id": claim.connection_id})
    return [
        StreamBooks(
            stream=row.stream,
            emitted=row.records_emitted,
            flushed=row.records_flushed,
            unchanged=row.records_unchanged,
            rejected=row.records_rejected,
            staged=row.checkpoints_staged,
            committed=row.checkpoints_committed,
            progress_count=row.progress_count,
            progress_total=row.progress_total,
            skipped_by_reason=row.by_reason,
            all_gaps_are_resources=row.resources,
            holds_records=row.holds_records,
            next_attempt_at=row.next_attempt_at,
        )
        for row in rows
    ]


def gaps_closed(connection: Connection, claim: Claim) -> int:
    """How many gaps the run closed."""
    return int(connection.execute(_GAPS_CLOSED, {"run_id": claim.run_id}).scalar_one())


def failed_partitions(connection: Connection, claim: Claim, limit: int) -> list[dict[str, Any]]:
    """Parts of the source that the run could not read; at most `limit`."""
    values = {"run_id": claim.run_id, "connection_id": claim.connection_id, "limit": limit}
    return list(connection.execute(_FAILED_PARTITIONS, values).scalars())


def end(
    connection: Connection,
    claim: Claim,
    ends: Sequence[StreamEnd],
    *,
    walks: Mapping[str, Walk],
    bring_forward: bool,
    status: str,
    gaps_closed: int,
    error: str | None,
    retry_hint: dict[str, Any] | None,
) -> None:
    """Close the books and give the lease back.

    `bring_forward`: the connection's next run moves to where the retry hint says. The table's CHECK constraints refuse
    books that do not balance and a success with anything missing.
    """
    by_reason: dict[str, int] = {}
    for one in ends:
        _end_stream(connection, claim, one, walks.get(one.books.stream))
        for reason, count in one.books.skipped_by_reason.items():
            by_reason[reason] = by_reason.get(reason, 0) + count
    values = {
        "run_id": claim.run_id,
        "status": status,
        "gaps_closed": gaps_closed,
        "error": storable(error),
        "by_reason": by_reason,
        "retry_hint": retry_hint,
    }
    connection.execute(_END_RUN, values)
    if retry_hint is not None and bring_forward:
        schedules.bring_forward(connection, claim.connection_id, datetime.fromisoformat(retry_hint["not_before"]))
    data = {"status": status, "skipped_by_reason": by_reason, "gaps_closed": gaps_closed}
    events.append(connection, claim.connection_id, claim.run_id, [("run_ended", None, data)])
    leases.release(connection, claim)


def _end_stream(connection: Connection, claim: Claim, one: StreamEnd, walk: Walk | None) -> None:
    skipped = sum(one.books.skipped_by_reason.values())
    values = {
        "run_id": claim.run_id,
        "stream": one.books.stream,
        "state": "finished" if one.finished else "unfinished",
        "skipped": skipped,
        "unreached": one.unreached,
        "missing": one.missing,
        "by_reason": one.books.skipped_by_reason,
        "error": storable(one.error),
    }
    connection.execute(_END_STREAM, values)
    if walk is not None and one.finished:
        coverage_rows.walked(
            connection,
            claim.connection_id,
            claim.run_id,
            one.books.stream,
            considered=one.books.emitted + skipped,
            from_scratch=walk.from_scratch,
            bounded=walk.bounded,
        )
