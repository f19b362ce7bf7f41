"""Gaps as this connector words them, and how they are closed.

A missing document is a gap of one resource: the file by its name, or the statement by its id once its text is
known. A missing period is a gap of an account and a range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

from connectors.usaa.documents.reading import UnreadError
from connectors.usaa.ledger import Ledger, Window
from connectors.usaa.records import TRANSACTIONS
from pdpp_worker.connector import (
    BatchScope,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    Reason,
    Record,
    ResourceScope,
    SkipResult,
    TimeRange,
    closed_as_absent,
    closed_by,
    resource_of,
    skip,
)

_PARTITION = "account_id"


class Gaps:
    """The gaps that START assigned, by what they are about; and the words for new ones."""

    def __init__(self, assigned: Sequence[GapToClose]) -> None:
        self._resources: dict[tuple[str, str], GapToClose] = {
            (gap.stream, gap.scope.resource_id): gap for gap in assigned if isinstance(gap.scope, ResourceScope)
        }
        self.ranges = [gap for gap in assigned if window_of(gap) is not None]

    def resources(self, stream: str = TRANSACTIONS) -> list[GapToClose]:
        """The assigned gaps about one resource of a stream that are not resolved yet."""
        return [gap for (name, _), gap in self._resources.items() if name == stream]

    def missed(
        self, key: str, error: UnreadError, locator: dict[str, object], retry_after: datetime | None = None
    ) -> Iterator[Message]:
        """A document gave nothing, or not all of it."""
        assigned = self._resources.pop((TRANSACTIONS, key), None)
        if error.fingerprint is not None:
            locator = {**locator, "template_fingerprint": error.fingerprint}
        yield DetailGap(
            stream=TRANSACTIONS,
            record_key=key,
            reason=error.reason.value,
            retry_after=retry_after,
            detail_locator=locator,
            last_error=str(error),
            gap_id=None if assigned is None else assigned.gap_id,
        )

    def obtained(self, keys: Iterable[str], proof: Record | None, *, missed: Iterable[str] = ()) -> Iterator[Message]:
        """Account for documents that were read, and close assigned gaps about them by the record that proves it."""
        obtained, gap_keys = list(dict.fromkeys(keys)), list(dict.fromkeys(missed))
        for key in obtained:
            assigned = self._resources.pop((TRANSACTIONS, key), None)
            if assigned is not None and proof is not None:
                yield closed_by(proof, assigned)
        yield DetailCoverage(
            stream=TRANSACTIONS,
            state_stream=TRANSACTIONS,
            required_keys=[*obtained, *gap_keys],
            hydrated_keys=obtained,
            gap_keys=gap_keys,
        )

    def vanished(self, gap: GapToClose) -> DetailGapRecovered:
        """Closes a gap whose resource is not there any more."""
        self._resources.pop((gap.stream, resource_of(gap)), None)
        return closed_as_absent(gap, resource_of(gap) or "range")


def covered_by(ledger: Ledger) -> TimeRange | None:
    """The period that is walked whole, but for the gaps that are named."""
    period = ledger.period()
    return None if period is None else TimeRange(since=period[0], until=period[1])


def shortened(account: str, window: Window, why: str, retry_after: datetime | None = None) -> SkipResult:
    """A gap: nothing is held of an account for a period that was promised."""
    bounds = TimeRange(since=window.since.isoformat(), until=window.until.isoformat())
    scope = BatchScope(partition={_PARTITION: account}, range=bounds)
    return skip(TRANSACTIONS, Reason.RANGE_SHORTENED, scope, why, retry_after=retry_after)


def still_shortened(gap: GapToClose, account: str, why: str, retry_after: datetime | None = None) -> DetailGap:
    """The period of a gap is missing as before."""
    return DetailGap(
        stream=gap.stream,
        record_key=account,
        reason=Reason.RANGE_SHORTENED.value,
        retry_after=retry_after,
        last_error=why,
        gap_id=gap.gap_id,
    )


def window_of(gap: GapToClose) -> tuple[str, Window] | None:
    """The account and the period that a gap is about; None for gaps of another kind."""
    scope = gap.scope
    if not isinstance(scope, BatchScope) or scope.range is None or gap.stream != TRANSACTIONS:
        return None
    account, since, until = scope.partition.get(_PARTITION), scope.range.since, scope.range.until
    if not isinstance(account, str) or since is None or until is None:
        return None
    try:
        return account, Window(date.fromisoformat(since), date.fromisoformat(until))
    except ValueError:
        return None
