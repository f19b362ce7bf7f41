"""Details that a connector said it requires, and has neither fetched nor reported as a gap."""

from __future__ import annotations

from collections.abc import Iterable

from pdpp_worker.protocol.keys import canonical_key
from pdpp_worker.protocol.messages import DetailCoverage


class DetailAccounting:
    """The pending details of each checkpoint stream, whose cursor has to wait for them.

    DETAIL_GAP and DETAIL_COVERAGE of a detail may come in either order. A detail stays pending, whatever other pages
    say, until it is fetched or is a gap.
    """

    def __init__(self) -> None:
        self._gaps: dict[str, set[str]] = {}
        self._pending: dict[str, set[tuple[str, str]]] = {}

    def add_gap(self, stream: str, record_key: str) -> None:
        """Resolve a detail that could not be fetched."""
        key = canonical_key(record_key)
        self._gaps.setdefault(stream, set()).add(key)
        self._resolve({(stream, key)})

    def add_coverage(self, coverage: DetailCoverage, checkpoints: Iterable[str]) -> None:
        """Add what a page requires, and resolve what it fetched; `checkpoints` are the streams whose cursors wait."""
        self._resolve({(coverage.stream, canonical_key(key)) for key in coverage.hydrated_keys})
        reported = self._gaps.get(coverage.stream, set())
        unreported = {canonical_key(key) for key in coverage.gap_keys} - reported
        pending = {canonical_key(key) for key in coverage.unaccounted_keys} | unreported
        if pending:
            for checkpoint in checkpoints:
                self._pending.setdefault(checkpoint, set()).update((coverage.stream, key) for key in pending)

    def forget_gaps(self, streams: Iterable[str]) -> None:
        """Forget the gaps before a checkpoint of these streams: no coverage of them comes any more."""
        for stream in streams:
            self._gaps.pop(stream, None)

    @property
    def waiting(self) -> list[str]:
        """The checkpoint streams with pending details."""
        return list(self._pending)

    def why_withheld(self, checkpoint: str) -> str | None:
        """Why a checkpoint may not be committed; None when no detail of it is pending."""
        pending = self._pending.get(checkpoint)
        if pending is None:
            return None
        streams = ", ".join(sorted({stream for stream, _ in pending}))
        return f"{len(pending)} required keys of {streams} are neither read nor a gap"

    def _resolve(self, details: set[tuple[str, str]]) -> None:
        left = {checkpoint: pending - details for checkpoint, pending in self._pending.items()}
        self._pending = {checkpoint: pending for checkpoint, pending in left.items() if pending}
