"""Derives how a stream and a run ended, from counts; pure, and the only place where a status is derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pdpp_worker.store.stream_counts import StreamCounts


class RunStatus(StrEnum):
    """The four ends of a run."""

    SUCCEEDED = "succeeded"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class StreamResult:
    """How a stream of a run ended; `missing` is None where it cannot be known."""

    counts: StreamCounts
    finished: bool
    unreached: int
    missing: int | None
    error: str | None


def derive_status(
    streams: Sequence[StreamResult], *, cancelled: bool, gaps_closed: int = 0, noted: bool = False
) -> RunStatus:
    """The status that the streams' outcomes add up to.

    Succeeded: there is a stream, every one was walked to its end, every staged checkpoint committed, nothing missing.
    Partially completed: something durable (a record, a checkpoint, a gap that was closed) and something missing.
    Failed: nothing durable. `noted`: the connector said that something of the run is missing.
    """
    if cancelled:
        return RunStatus.CANCELLED
    if streams and not noted and all(misses_nothing(one) for one in streams):
        return RunStatus.SUCCEEDED
    durable = gaps_closed or any(one.counts.flushed + one.counts.unchanged + one.counts.committed for one in streams)
    return RunStatus.PARTIALLY_COMPLETED if durable else RunStatus.FAILED


def misses_nothing(one: StreamResult) -> bool:
    """Whether the stream was collected whole."""
    counts = one.counts
    return (
        one.finished
        and one.unreached == 0
        and counts.rejected == 0
        and not counts.skipped_by_reason
        and counts.staged == counts.committed
    )


def stream_result(
    counts: StreamCounts, *, finished: bool, walked: bool, from_scratch: bool, error: str | None, deferred: int = 0
) -> StreamResult:
    """Derive the result of one stream; `deferred` are due gaps that the run had no budget to try.

    A walk without a cursor that found nothing, where records are held, counts as unfinished: an empty answer is more
    often a broken source than an emptied account.
    """
    skipped = sum(counts.skipped_by_reason.values())
    found_nothing = walked and from_scratch and counts.emitted == 0 and skipped == 0 and counts.holds_records
    if finished and found_nothing:
        return StreamResult(counts, False, 0, None, "the walk found nothing, although records are held")
    if finished:
        missing = skipped + counts.rejected + deferred if counts.all_gaps_are_resources else None
        return StreamResult(counts, True, deferred, missing, error)
    if counts.progress_total is None:
        return StreamResult(counts, False, 0, None, error)
    unreached = max(0, counts.progress_total - (counts.progress_count or 0))
    return StreamResult(counts, False, unreached, unreached + skipped + counts.rejected, error)
