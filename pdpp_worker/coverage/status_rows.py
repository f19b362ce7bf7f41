"""The state of each stream with that of its connection: a row of `status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.verdict import Availability, Verdict


@dataclass(frozen=True)
class StatusRow:
    """One stream of one connection; `records` and `gaps_by_reason` are None as long as no run has touched it."""

    connection: str
    stream: str
    optional: bool
    verdict: Verdict
    records: int | None
    gaps_by_reason: dict[str, int] | None
    deletions_waiting: int
    """Held records that walks did not find, and that are deleted only by the owner's word."""
    unknown_parts: int
    """Members of the source that the connector does not know, and that may hold something of the stream."""
    last_walk_at: datetime | None
    last_run_id: int | None
    last_run_status: str | None
    last_run_at: datetime | None
    paused: bool | None
    next_run_at: datetime | None
    next_retry_at: datetime | None
    done_at: datetime | None
    waits_until: datetime | None
    """End of the wait in which nothing is asked for at the connection."""
    wait_reason: str | None
    still_slices: int
    """The last slices in a row of its active run that made no progress."""
    still_since: datetime | None
    """Time since which work that may go on has not been touched; None: it does not stand still."""
    still_because: str | None


def read(outlooks: Mapping[str, Outlook], found: Iterable[StreamCoverage]) -> list[StatusRow]:
    """The rows of the streams that are shown; `outlooks` are those of their connections, by name."""
    return [_row(outlooks[one.connection], one) for one in found if is_shown(one)]


def is_shown(one: StreamCoverage) -> bool:
    """Whether the stream is shown; one that is never supplied, and of which nothing is held, is not."""
    return one.supply is not Availability.NEVER or bool(one.records)


def _row(outlook: Outlook, one: StreamCoverage) -> StatusRow:
    view, run, still = outlook.view, outlook.waits.run, outlook.still
    return StatusRow(
        connection=view.name,
        stream=one.stream,
        optional=one.optional,
        verdict=one.verdict,
        records=one.records,
        gaps_by_reason=one.gaps_by_reason if one.records is not None else None,
        deletions_waiting=one.deletions_waiting,
        unknown_parts=len(one.unknown_parts),
        last_walk_at=one.last_complete_walk.at if one.last_complete_walk else None,
        last_run_id=view.last_run_id,
        last_run_status=view.last_run_status,
        last_run_at=view.last_run_at,
        paused=view.paused,
        next_run_at=view.next_run_at,
        next_retry_at=one.next_attempt_at,
        done_at=one.done_at,
        waits_until=one.waits_until,
        wait_reason=one.wait_reason,
        still_slices=run.still_slices if run else 0,
        still_since=still.since if still else None,
        still_because=still.because if still else None,
    )
