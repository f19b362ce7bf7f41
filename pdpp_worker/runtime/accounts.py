"""Which details a connector said it requires, and has neither read nor reported as a gap."""

from __future__ import annotations

from collections.abc import Iterable

from pdpp_worker.protocol.keys import canonical_key
from pdpp_worker.protocol.messages import DetailCoverage, DetailGap


class DetailAccounts:
    """The details that are owed, by the checkpoint that has to wait for them.

    DETAIL_GAP and DETAIL_COVERAGE of a detail may come in either order. One that is owed stays so, whatever other pages
    account for, until it is read or is a gap.
    """

    def __init__(self) -> None:
        self._gaps: dict[str, set[str]] = {}
        self._owed: dict[str, set[tuple[str, str]]] = {}

    def add_gap(self, gap: DetailGap) -> None:
        """A detail could not be read, which accounts for it."""
        key = canonical_key(gap.record_key)
        self._gaps.setdefault(gap.stream, set()).add(key)
        self._pay({(gap.stream, key)})

    def add_coverage(self, coverage: DetailCoverage, keepers: Iterable[str]) -> None:
        """What a page requires, and what became of it; `keepers` are the streams whose cursors wait for it."""
        self._pay({(coverage.stream, canonical_key(key)) for key in coverage.hydrated_keys})
        said = self._gaps.get(coverage.stream, set())
        unsaid = {canonical_key(key) for key in coverage.gap_keys} - said
        owed = {canonical_key(key) for key in coverage.unaccounted_keys} | unsaid
        if owed:
            for keeper in keepers:
                self._owed.setdefault(keeper, set()).update((coverage.stream, key) for key in owed)

    def forget_gaps(self, streams: Iterable[str]) -> None:
        """The checkpoint of these streams was taken: coverage of what lies before it does not come any more."""
        for stream in streams:
            self._gaps.pop(stream, None)

    @property
    def owing(self) -> list[str]:
        """The checkpoint streams that have to wait."""
        return list(self._owed)

    def why_withheld(self, checkpoint: str) -> str | None:
        """Why a checkpoint may not be committed; None when everything that it depends on is accounted for."""
        owed = self._owed.get(checkpoint)
        if owed is None:
            return None
        streams = ", ".join(sorted({stream for stream, _ in owed}))
        return f"{len(owed)} required keys of {streams} are neither read nor a gap"

    def _pay(self, details: set[tuple[str, str]]) -> None:
        left = {checkpoint: owed - details for checkpoint, owed in self._owed.items()}
        self._owed = {checkpoint: owed for checkpoint, owed in left.items() if owed}
