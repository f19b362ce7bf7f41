"""The one transaction that ends a run: gaps, results of the streams, status, schedule and lease; all or nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store import coverage_rows, doubts, events, leases, schedules, source_members, stream_counts
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.children import Children
from pdpp_worker.store.coverage_rows import FullPass
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import close
from pdpp_worker.store.gaps import credentials as gap_credentials
from pdpp_worker.store.gaps.backlog import Backlog
from pdpp_worker.store.gaps.retry_policy import RetryPolicy
from pdpp_worker.store.retry_hint import needed_budget_s, retry_hint, too_short
from pdpp_worker.store.run_status import RunStatus, StreamResult, derive_status, stream_result
from pdpp_worker.store.stream_counts import StreamCounts
from pdpp_worker.store.values import storable

CANCELLED_S = 3600.0
"""Delay of the next try of gaps at whose recovery the owner has stopped a run, s."""
NAMED_PARTITIONS = 20
"""Failed parts of the source that a retry hint names at most."""


@dataclass(frozen=True)
class Remaining:
    """Gaps that the run was to try and that are still open."""

    version: str
    policy: RetryPolicy
    backlog: Backlog
    assigned: Sequence[int]
    """Gaps that the connector was assigned and has not resolved."""
    transient: bool
    """Whether what kept the connector from them passes with time."""
    carried_wait_s: float | None = None
    """How long gaps wait that a walk carried along and did not try, s; None: walks carry none."""


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, as far as its last slice knows."""

    walked: bool
    """Whether the run walks streams (a recovery run does not)."""
    ended_well: bool
    """Whether the connector came to its own end, or that of its walk."""
    for_gaps: bool = False
    """Whether it was started to go back for gaps, be it by a walk."""
    cancelled: bool = False
    out_of_budget: bool = False
    insufficient_s: float | None = None
    """Working time that the run has spent, s, where that was not enough and no checkpoint was kept to go on from."""
    failed_streams: Mapping[str, str] = field(default_factory=dict)
    """Stream to why it failed."""
    checkpoint_errors: Mapping[str, str] = field(default_factory=dict)
    """Checkpoint stream to why its latest checkpoint was not committed."""
    continued: Mapping[str, str] = field(default_factory=dict)
    """Streams of which the connector has done a part, and wants to be run again soon for the next one."""
    run_notes: Collection[str] = ()
    """Sentences about parts of the run that are missing and belong to no stream."""
    remaining: Remaining | None = None
    from_scratch: Collection[str] = ()
    """Streams without a cursor when the run began."""
    tried_gaps: bool = False
    """Whether the run tried gaps too, so that its records were not all found by its walk."""
    session_local: Collection[str] = ()
    """Streams with cursor_semantic 'session_local': a full pass does not prove that older items are gone."""
    refused_checkpoints: Collection[str] = ()
    """Streams whose checkpoint was refused, so that the next walk passes the same items again."""
    children: Children = field(default_factory=dict)
    """Which deletions reach further."""
    error: str | None = None


# The schedule is locked in its place in the order of locks, for a transaction that may bring it forward.
_MISSES_ANYTHING = text("""
    WITH schedule AS (SELECT 1 FROM schedules WHERE connection_id = :connection_id FOR NO KEY UPDATE)
    SELECT EXISTS (SELECT FROM gaps WHERE connection_id = :connection_id AND closed_at IS NULL)
        OR EXISTS (SELECT FROM gaps WHERE last_run_id = :run_id)
        OR EXISTS (SELECT FROM deletion_doubts WHERE connection_id = :connection_id) AS misses,
        (SELECT count(*) FROM schedule) AS locked
""")
_END_STREAMS = text("""
    UPDATE run_streams SET state = given.state, skipped = given.skipped, unreached = given.unreached,
        records_missing_estimate = given.missing, skipped_by_reason = CAST(given.by_reason AS jsonb),
        error = given.error, considered = records_emitted + given.skipped + given.unreached
    FROM unnest(CAST(:streams AS text[]), CAST(:states AS text[]), CAST(:skipped AS bigint[]),
        CAST(:unreached AS bigint[]), CAST(:missing AS bigint[]), CAST(:by_reason AS text[]), CAST(:errors AS text[]))
        AS given (stream, state, skipped, unreached, missing, by_reason, error)
    WHERE run_id = :run_id AND run_streams.stream = given.stream
""")
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


def end_run(db: Database, claim: Claim, streams: Collection[str], how: RunEnd) -> RunStatus:
    """Write the end of a run and return its status.

    Raises:
        LeaseLostError: another worker holds the connection; nothing was written.
    """

    def write(connection: Connection) -> RunStatus:
        cancelled = leases.renew(connection, claim) or how.cancelled
        misses = misses_anything(connection, claim)
        return write_end(connection, claim, streams, how, cancelled=cancelled, misses=misses)

    return db.transact(write)


def misses_anything(connection: Connection, claim: Claim) -> bool:
    """Lock the schedule; whether a gap is open or was touched by the run, or a record is in doubt, under the lease."""
    values = {"connection_id": claim.connection_id, "run_id": claim.run_id}
    return bool(connection.execute(_MISSES_ANYTHING, values).one().misses)


def write_end(
    connection: Connection,
    claim: Claim,
    streams: Collection[str],
    how: RunEnd,
    *,
    cancelled: bool,
    misses: bool,
    with_batch: bool = False,
) -> RunStatus:
    """Write the end in a transaction that holds the lease and has locked the schedule; returns the status.

    `misses`: else there are no gaps to look at. `with_batch`: the members of the source were written with a batch.
    """
    passes = _full_passes(streams, how)
    if misses and not cancelled:
        doubts.settle(connection, claim, passes.keys(), how.children)
        _close_gaps(connection, claim, passes, how)
    deferred = _record_remaining(connection, how, cancelled=cancelled) if misses else {}
    if is_whole(streams, how) and not (cancelled or with_batch):
        source_members.drop_unnamed(connection, claim)
    counts = stream_counts.read(connection, claim, streams)
    needed_s = None if how.insufficient_s is None else needed_budget_s(how.insufficient_s, counts)
    told = how if needed_s is None else replace(how, error=too_short(how.insufficient_s or 0.0, needed_s))
    results = [_result(one, told, deferred.get(one.stream, 0)) for one in counts]
    closed = stream_counts.gaps_closed(connection, claim) if misses else 0
    status = derive_status(results, cancelled=cancelled, gaps_closed=closed, noted=bool(how.run_notes))
    _write_streams(connection, claim, results, passes)
    failed = stream_counts.failed_partitions(connection, claim, NAMED_PARTITIONS) if misses else []
    hint = None if cancelled else retry_hint(results, failed, out_of_budget=how.out_of_budget, needed_s=needed_s)
    _write_run(connection, claim, results, status, closed, told.error or "; ".join(how.run_notes) or None, hint)
    if hint is not None and how.walked and needed_s is None:
        schedules.bring_forward(connection, claim.connection_id, datetime.fromisoformat(hint["not_before"]))
    if how.continued and how.remaining is not None:
        schedules.run_soon(connection, claim.connection_id, how.remaining.policy.first_s)
    leases.release(connection, claim)
    return status


def is_whole(streams: Collection[str], how: RunEnd) -> bool:
    """Whether all streams were walked to their end."""
    return _full_passes(streams, how).keys() == set(streams)


def _full_passes(streams: Collection[str], how: RunEnd) -> dict[str, FullPass]:
    """The streams that were walked to their end."""
    if not (how.walked and how.ended_well):
        return {}
    return {
        stream: FullPass(stream in how.from_scratch, stream in how.session_local or stream in how.refused_checkpoints)
        for stream in streams
        if stream not in how.failed_streams and stream not in how.continued
    }


def _close_gaps(connection: Connection, claim: Claim, passes: Mapping[str, FullPass], how: RunEnd) -> None:
    """Close the gaps about streams, or parts of them, that were walked whole and whose checkpoint is kept.

    The walk also shows that the owner is signed in, so gaps that waited for that become due.
    """
    believed = passes.keys() - set(how.refused_checkpoints)
    for stream in sorted(close.missing_in(connection, claim.connection_id, believed) if believed else ()):
        from_scratch, bounded = passes[stream]
        closed = close.close_whole_stream(connection, claim, stream, from_scratch=from_scratch)
        if from_scratch and not bounded and not how.tried_gaps:
            closed += close.close_passed(connection, claim, stream)
        if closed:
            happened = ("gaps_closed", stream, {"count": len(closed)})
            events.append(connection, claim.connection_id, claim.run_id, [happened])
    if passes:
        gap_credentials.signed_in(connection, claim)


def _record_remaining(connection: Connection, how: RunEnd, *, cancelled: bool) -> dict[str, int]:
    """Record a failed attempt on each unresolved gap; returns, per stream, how many due gaps had no budget."""
    left = how.remaining
    if left is None:
        return {}
    if cancelled:
        assigned = () if how.walked and left.carried_wait_s is not None else left.assigned
        left.backlog.defer(connection, CANCELLED_S, assigned, all_of_them=how.for_gaps)
        return {}
    if how.out_of_budget:
        return {} if how.walked else left.backlog.count(connection)
    left.backlog.record_failed_attempt(
        connection, left.version, left.policy, left.assigned, walked=how.walked, transient=left.transient
    )
    if left.carried_wait_s is not None:
        left.backlog.carry(connection, left.carried_wait_s)
    return {}


def _result(counts: StreamCounts, how: RunEnd, deferred: int) -> StreamResult:
    stream = counts.stream
    return stream_result(
        counts,
        finished=how.ended_well and stream not in how.failed_streams and stream not in how.continued,
        walked=how.walked,
        from_scratch=stream in how.from_scratch,
        error=how.failed_streams.get(stream)
        or how.checkpoint_errors.get(stream)
        or how.continued.get(stream)
        or how.error,
        deferred=deferred,
    )


def _write_streams(
    connection: Connection, claim: Claim, results: Sequence[StreamResult], passes: Mapping[str, FullPass]
) -> None:
    values = {
        "run_id": claim.run_id,
        "streams": [one.counts.stream for one in results],
        "states": ["finished" if one.finished else "unfinished" for one in results],
        "skipped": [_skipped(one) for one in results],
        "unreached": [one.unreached for one in results],
        "missing": [one.missing for one in results],
        "by_reason": [json.dumps(one.counts.skipped_by_reason) for one in results],
        "errors": [storable(one.error) for one in results],
    }
    connection.execute(_END_STREAMS, values)
    walked = [
        (one.counts.stream, one.counts.emitted + _skipped(one), passes[one.counts.stream])
        for one in results
        if one.counts.stream in passes and one.finished
    ]
    coverage_rows.walked(connection, claim, walked)


def _skipped(one: StreamResult) -> int:
    return sum(one.counts.skipped_by_reason.values())


def _write_run(
    connection: Connection,
    claim: Claim,
    results: Sequence[StreamResult],
    status: RunStatus,
    gaps_closed: int,
    error: str | None,
    hint: dict[str, Any] | None,
) -> None:
    """The table's CHECK constraints refuse counts that do not balance, and a success with anything missing."""
    by_reason: dict[str, int] = {}
    for one in results:
        for reason, count in one.counts.skipped_by_reason.items():
            by_reason[reason] = by_reason.get(reason, 0) + count
    values = {
        "run_id": claim.run_id,
        "status": status.value,
        "gaps_closed": gaps_closed,
        "error": storable(error),
        "by_reason": by_reason,
        "retry_hint": hint,
    }
    connection.execute(_END_RUN, values)
    data = {"status": status.value, "skipped_by_reason": by_reason, "gaps_closed": gaps_closed}
    events.append(connection, claim.connection_id, claim.run_id, [("run_ended", None, data)])
