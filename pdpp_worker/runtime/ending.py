"""Ends a run: closes the books, derives the status, writes both in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.runtime.outcome import RunStatus, close_stream, derive_status
from pdpp_worker.store import backlog, endings, events, gaps, leases, schedules
from pdpp_worker.store.backlog import Backlog
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.endings import StreamEnd, Walk
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import RetryPolicy

CANCELLED_S = 3600.0
"""A recovery that the owner stopped is not begun anew for so long."""
SPARE = 1.25
"""A budget that follows from progress has so much to spare."""
LONGEST_BUDGET_S = 86_400.0
"""No run gets more by itself, s."""
NAMED_PARTITIONS = 20
"""A retry hint names so many failed parts of the source."""


@dataclass(frozen=True)
class Leftover:
    """Gaps that the run had before it and left as they were."""

    version: str
    policy: RetryPolicy
    backlog: Backlog
    handed: Sequence[int]
    """Those that the connector was handed and said nothing about."""
    passing: bool
    """Whether the connector was kept from them by something that passes with time."""


@dataclass(frozen=True)
class Ending:
    """What the last slice knows about how its run ended."""

    walked: bool
    """Whether the run walks streams (a recovery run does not)."""
    ended_well: bool
    """Whether the connector came to its own end, or that of its walk."""
    cancelled: bool = False
    out_of_budget: bool = False
    short_of_s: float | None = None
    """The working time that the run has spent, s, where that was not enough and it keeps no place to go on from."""
    failed_streams: Mapping[str, str] = field(default_factory=dict)
    checkpoint_errors: Mapping[str, str] = field(default_factory=dict)
    leftover: Leftover | None = None
    from_scratch: Collection[str] = ()
    """Streams that had no cursor when the run began."""
    went_back: bool = False
    """Whether the run asked for gaps too, so that what it brought was not all found by its walk."""
    bounded: Collection[str] = ()
    """Streams that show only a part of themselves, so that a walk says nothing of the rest."""
    unkept: Collection[str] = ()
    """Streams of whose place a checkpoint was refused, so that the next walk comes by here again."""
    error: str | None = None


def end_run(db: Database, claim: Claim, streams: Collection[str], ending: Ending) -> RunStatus:
    """Write the end of a run and return its status.

    Raises:
        LeaseLostError: another worker holds the connection; nothing was written.
    """

    def end(connection: Connection) -> RunStatus:
        cancelled = leases.renew(connection, claim) or ending.cancelled
        schedules.lock(connection, claim.connection_id)
        walks = _walks(streams, ending)
        if not cancelled:
            _close_walked(connection, claim, walks, ending)
            if walks:
                backlog.signed_in(connection, claim)
        deferred = {} if ending.leftover is None else _leave(connection, ending, ending.leftover, cancelled=cancelled)
        books = endings.books(connection, claim, streams)
        needed_s = None if ending.short_of_s is None else needed_budget_s(ending.short_of_s, books)
        told = ending if needed_s is None else replace(ending, error=_too_short(ending.short_of_s or 0.0, needed_s))
        ends = [_close(one, told, deferred.get(one.stream, 0)) for one in books]
        closed = endings.gaps_closed(connection, claim)
        status = derive_status(ends, cancelled=cancelled, gaps_closed=closed)
        endings.end(
            connection,
            claim,
            ends,
            walks=walks,
            bring_forward=ending.walked and needed_s is None,
            status=status.value,
            gaps_closed=closed,
            error=told.error,
            retry_hint=None if cancelled else _retry_hint(connection, claim, ends, ending, needed_s),
        )
        return status

    return db.transact(end)


def _walks(streams: Collection[str], ending: Ending) -> dict[str, Walk]:
    """The streams that were walked to their end."""
    if not (ending.walked and ending.ended_well):
        return {}
    return {
        stream: Walk(stream in ending.from_scratch, stream in ending.bounded or stream in ending.unkept)
        for stream in streams
        if stream not in ending.failed_streams
    }


def _close_walked(connection: Connection, claim: Claim, walks: Mapping[str, Walk], ending: Ending) -> None:
    """Close the gaps about streams, or parts of them, that were walked whole and whose place is kept."""
    for stream in sorted(walks.keys() - set(ending.unkept)):
        walk = walks[stream]
        closed = gaps.close_whole_stream(connection, claim, stream, from_scratch=walk.from_scratch)
        if walk.from_scratch and not walk.bounded and not ending.went_back:
            closed += gaps.close_passed(connection, claim, stream)
        if closed:
            happened = ("gaps_closed", stream, {"count": len(closed)})
            events.append(connection, claim.connection_id, claim.run_id, [happened])


def _leave(connection: Connection, ending: Ending, left: Leftover, *, cancelled: bool) -> dict[str, int]:
    """Put off what was tried to no avail; returns by stream what did not fit into the budget, which keeps its place."""
    if cancelled:
        left.backlog.rest(connection, CANCELLED_S)
        return {}
    if ending.out_of_budget:
        return {} if ending.walked else left.backlog.count(connection)
    left.backlog.put_off(connection, left.version, left.policy, left.handed, walked=ending.walked, passing=left.passing)
    return {}


def _close(books: endings.StreamBooks, ending: Ending, deferred: int) -> StreamEnd:
    stream = books.stream
    return close_stream(
        books,
        finished=ending.ended_well and stream not in ending.failed_streams,
        walked=ending.walked,
        from_scratch=stream in ending.from_scratch,
        error=ending.failed_streams.get(stream) or ending.checkpoint_errors.get(stream) or ending.error,
        deferred=deferred,
    )


def needed_budget_s(spent_s: float, books: Collection[endings.StreamBooks]) -> float:
    """The working time, s, that a run needs which was short of it: by its progress, and at least twice as much."""
    told = [(one.progress_count, one.progress_total) for one in books if one.progress_count and one.progress_total]
    done, total = (sum(numbers) for numbers in zip(*told, strict=True)) if told else (1, 1)
    return min(LONGEST_BUDGET_S, spent_s * max(2.0, SPARE * total / done))


def _too_short(spent_s: float, needed_s: float) -> str:
    return (
        f"{spent_s:,.0f} s were not enough for a connector that keeps its place only at its end: "
        f"its next run gets {needed_s:,.0f} s"
    )


def _retry_hint(
    connection: Connection, claim: Claim, ends: Collection[StreamEnd], ending: Ending, needed_s: float | None
) -> dict[str, Any] | None:
    """When it is worth going on, without what, and why; None when time alone mends nothing."""
    times: list[datetime] = [one.books.next_attempt_at for one in ends if one.books.next_attempt_at is not None]
    reasons = {reason for one in ends for reason in one.books.skipped_by_reason}
    if ending.out_of_budget and any(not one.finished or one.unreached for one in ends):
        times.append(datetime.now(UTC))
        reasons.add(Reason.RUN_BUDGET_DEFERRED.value)
    if not times:
        return None
    known = [one.missing for one in ends if one.missing is not None]
    return {
        "not_before": min(times).isoformat(),
        "exclude": endings.failed_partitions(connection, claim, NAMED_PARTITIONS),
        "remaining_estimate": sum(known) if len(known) == len(ends) else None,
        "why": ", ".join(sorted(reasons)),
        **({"budget_s": needed_s} if needed_s is not None else {}),
    }
