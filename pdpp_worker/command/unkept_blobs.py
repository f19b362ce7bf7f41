"""Blobs of a run that there is no room for: each is a gap, until one for the same record is kept."""

from __future__ import annotations

from collections.abc import Iterator

from pdpp_worker.connector import DetailGapRecovered, GapToClose, Reason, Start, resource_of
from pdpp_worker.protocol.foreign import ForeignGap


class UnkeptBlobs:
    """The blobs that were refused in one run, and the gaps of earlier ones that are over."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._known = {
            (gap.stream, resource_of(gap)): gap
            for gap in start.detail_gaps
            if gap.reason == Reason.STORAGE_FULL and resource_of(gap)
        }
        self._refused: dict[tuple[str, str], str] = {}
        self._over: list[GapToClose] = []

    def refuse(self, stream: str, key: str, why: str) -> None:
        """Note that one of a record was refused."""
        self._refused[stream, key] = why

    def keep(self, stream: str, key: str) -> None:
        """Note that one of a record was kept."""
        self._refused.pop((stream, key), None)
        if (known := self._known.pop((stream, key), None)) is not None:
            self._over.append(known)

    def messages(self) -> Iterator[ForeignGap | DetailGapRecovered]:
        """The gaps of refused blobs, and the claims of those that are over; for the end of the run."""
        for (stream, key), why in self._refused.items():
            known = self._known.get((stream, key))
            if self._start.wants(stream):
                yield ForeignGap(
                    stream=stream,
                    record_key=key,
                    reason=Reason.STORAGE_FULL,
                    last_error=why,
                    gap_id=known.gap_id if known is not None else None,
                )
        for known in self._over:
            yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=resource_of(known))
