"""Ends a run: closes the books, derives the status, writes both in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pdpp_worker.runtime.outcome import RunStatus, close_stream, derive_status
from pdpp_worker.store import endings, gaps, leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.endings import StreamEnd
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import RetryPolicy


@dataclass(frozen=True)
class Leftover:
    """Gaps that the run had before it and left as they were."""

    version: str
    policy: RetryPolicy
    handed: Sequence[int]
    """Those that the connector was handed and said nothing about."""
    every_due: bool
    """The connector cannot be handed gaps, so its walk was the attempt at all that were due."""


@dataclass(frozen=True)
class Ending:
    """What the last slice knows about how its run ended."""

    walked: bool
    """Whether the run walks streams (a recovery run does not)."""
    ended_well: bool
    """Whether the connector came to its own end."""
    cancelled: bool = False
    failed_streams: Mapping[str, str] = field(default_factory=dict)
    checkpoint_errors: Mapping[str, str] = field(default_factory=dict)
    leftover: Leftover | None = None
    from_scratch: Collection[str] = ()
    """Streams that had no cursor when the run began."""
    error: str | None = None


def end_run(db: Database, claim: Claim, streams: Collection[str], ending: Ending) -> RunStatus:
    """Write the end of a run and return its status.

    Raises:
        LeaseLostError: another worker holds the connection; nothing was written.
    """
    with db.begin() as connection:
        cancelled = leases.renew(connection, claim) or ending.cancelled
        if ending.leftover is not None and not cancelled:
            left = ending.leftover
            gaps.put_off(connection, claim, left.version, left.policy, left.handed, every_due=left.every_due)
        for stream in _finished(streams, ending):
            gaps.close_whole_stream(connection, claim, stream)
        ends = [_close(books, ending) for books in endings.books(connection, claim, streams)]
        status = derive_status(ends, cancelled=cancelled)
        endings.end(
            connection,
            claim,
            ends,
            status=status.value,
            walked=ending.walked,
            error=ending.error,
            retry_hint=_retry_hint(ends) if status is not RunStatus.CANCELLED else None,
        )
    return status


def _finished(streams: Collection[str], ending: Ending) -> list[str]:
    if not (ending.walked and ending.ended_well):
        return []
    return [stream for stream in streams if stream not in ending.failed_streams]


def _close(books: endings.StreamBooks, ending: Ending) -> StreamEnd:
    stream = books.stream
    return close_stream(
        books,
        finished=ending.ended_well and stream not in ending.failed_streams,
        walked=ending.walked,
        from_scratch=stream in ending.from_scratch,
        error=ending.failed_streams.get(stream) or ending.checkpoint_errors.get(stream) or ending.error,
    )


def _retry_hint(ends: Collection[StreamEnd]) -> dict[str, Any] | None:
    """When it is worth going on, and why; None when time alone mends nothing."""
    times: list[datetime] = [one.books.next_attempt_at for one in ends if one.books.next_attempt_at is not None]
    if not times:
        return None
    reasons = sorted({reason for one in ends for reason in one.books.skipped_by_reason})
    known = [one.missing for one in ends if one.missing is not None]
    return {
        "not_before": min(times).isoformat(),
        "exclude": [],
        "remaining_estimate": sum(known) if len(known) == len(ends) else None,
        "why": ", ".join(reasons),
    }
