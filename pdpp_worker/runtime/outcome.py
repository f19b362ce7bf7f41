"""How a run ended: the one place where a status is derived."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pdpp_worker.store.endings import StreamBooks, StreamEnd


class RunStatus(StrEnum):
    """The four ends of a run."""

    SUCCEEDED = "succeeded"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def derive_status(streams: Sequence[StreamEnd], *, cancelled: bool, gaps_closed: int = 0) -> RunStatus:
    """The status that the streams' outcomes add up to.

    Succeeded: there is a stream, every one was walked to its end, every staged checkpoint committed, nothing missing.
    Partially completed: something durable (a record, a checkpoint, a gap that was closed) and something missing.
    Failed: nothing durable.
    """
    if cancelled:
        return RunStatus.CANCELLED
    if streams and all(misses_nothing(one) for one in streams):
        return RunStatus.SUCCEEDED
    durable = gaps_closed or any(one.books.flushed + one.books.unchanged + one.books.committed for one in streams)
    return RunStatus.PARTIALLY_COMPLETED if durable else RunStatus.FAILED


def misses_nothing(one: StreamEnd) -> bool:
    """Whether the stream was collected whole."""
    books = one.books
    return (
        one.finished
        and one.unreached == 0
        and books.rejected == 0
        and not books.skipped_by_reason
        and books.staged == books.committed
    )


def close_stream(
    books: StreamBooks, *, finished: bool, walked: bool, from_scratch: bool, error: str | None, deferred: int = 0
) -> StreamEnd:
    """Close the books of one stream; `deferred` are gaps that the run was to try and had no budget for.

    A walk from scratch that found nothing where records are held is not believed: an empty answer is more often a
    broken source than an emptied account.
    """
    skipped = sum(books.skipped_by_reason.values())
    found_nothing = walked and from_scratch and books.emitted == 0 and skipped == 0 and books.holds_records
    if finished and found_nothing:
        return StreamEnd(books, False, 0, None, "the walk found nothing, although records are held")
    if finished:
        missing = skipped + books.rejected + deferred if books.all_gaps_are_resources else None
        return StreamEnd(books, True, deferred, missing, error)
    if books.progress_total is None:
        return StreamEnd(books, False, 0, None, error)
    unreached = max(0, books.progress_total - (books.progress_count or 0))
    return StreamEnd(books, False, unreached, unreached + skipped + books.rejected, error)
