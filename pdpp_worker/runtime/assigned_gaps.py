"""The gaps that a connector is assigned, and the records that prove its claims to have recovered them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.keys import canonical_key, names_of
from pdpp_worker.protocol.manifest_parts import Recovery
from pdpp_worker.protocol.messages import DetailGap, DetailGapRecovered, GapToClose, Record
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason, known_reason
from pdpp_worker.protocol.scope import ResourceScope
from pdpp_worker.store.effects import GapClosure, GapReport, Row

Item = tuple[str, str, bool]
"""A stream, a name of one of its records (the whole key, or the first part of a compound one), and whether only whole
records of it count."""


class AssignedGaps:
    """The gaps that START assigned, and the records of the slice that may prove that they are closed."""

    def __init__(self, gaps: Iterable[GapToClose], recovery: Recovery) -> None:
        """`recovery` is the manifest's; it says in which streams a gap may name a source of records."""
        self.unresolved = {gap.gap_id: gap for gap in gaps}
        """Gap id to gap, of those of which nothing was said yet."""
        self._recovery = recovery
        self._rows: dict[Item, list[Row]] = {}
        """Records of the batch at hand."""
        self._sealed: dict[Item, list[Row]] = {}
        """Those of the batch that was taken last, until it is durable."""
        self._durable: dict[Item, bool] = {}
        self._refused: set[tuple[str, str]] = set()

    def note(self, record: Record, row: Row) -> None:
        """Note a record of the batch at hand as a proof. A deletion proves nothing."""
        if not self.unresolved or record.op == "delete":
            return
        for name in names_of(record.key):
            for whole in {not record.partial, False}:
                self._rows.setdefault((record.stream, name, whole), []).append(row)

    def note_refused(self, record: Record) -> None:
        """Note a record that cannot be stored. The connector cannot know that, so its claim is no violation."""
        if self.unresolved and record.key:
            self._refused.update((record.stream, name) for name in names_of(record.key))

    def named_by(self, gap: DetailGap) -> GapToClose | None:
        """The assigned gap that a DETAIL_GAP is about, if it names one.

        Raises:
            ProtocolViolation: that one is about another stream.
        """
        assigned = None if gap.gap_id is None else self.unresolved.get(gap.gap_id)
        if assigned is not None and gap.stream != assigned.stream:
            raise ProtocolViolation(
                f"DETAIL_GAP names gap {gap.gap_id}, which is about stream {assigned.stream!r}, "
                f"as one of stream {gap.stream!r}"
            )
        return assigned

    def seal(self) -> None:
        """The batch at hand is taken."""
        self._sealed, self._rows = self._rows, {}

    def confirm(self, outdated: Collection[Row]) -> None:
        """The batch that was taken is durable, except for these records, which are older than the stored versions."""
        for item, rows in self._sealed.items():
            current = any(row not in outdated for row in rows)
            self._durable[item] = current or self._durable.get(item, False)
        self._sealed = {}

    def effect_of(self, message: DetailGapRecovered) -> GapClosure | GapReport:
        """The effect of a claim: it closes its gap, or is a miss where its record was refused.

        Raises:
            ProtocolViolation: it names no gap that was assigned, rests on no record, or on one of another item.
        """
        gap = self.unresolved.get(message.gap_id)
        if gap is None:
            raise ProtocolViolation(f"DETAIL_GAP_RECOVERED names gap {message.gap_id}, which START did not hand over")
        # The runtime names a refused record by its own key, even where the connector names its gaps by sources.
        from_source = self._recovery.names_sources(gap.stream) and gap.reason != Reason.RECORD_REJECTED
        if not from_source:
            _check_is_about(message, gap)
        whole = isinstance(gap.scope, ResourceScope) and not from_source
        item = message.stream, canonical_key(message.record_key), whole
        if message.absent or self._durable.get(item):
            return GapClosure(gap.stream, gap.scope, message.absent)
        if item not in self._rows and item not in self._durable:
            if item[:2] in self._refused:
                return _missed_again(gap, "the record that came for it was refused")
            raise ProtocolViolation(
                f"DETAIL_GAP_RECOVERED for gap {message.gap_id} is not proved: no {'whole ' if whole else ''}"
                f"record of stream {message.stream!r} with its record_key was accepted in this slice"
            )
        older = _missed_again(gap, "what came is older than the version that is held")
        return GapClosure(gap.stream, gap.scope, absent=False, rests_on=tuple(self._rows.get(item, ())), instead=older)

    def resolve(self, gap_id: str | None) -> None:
        """Note that nothing more is to be said of a gap."""
        if gap_id is not None:
            self.unresolved.pop(gap_id, None)
        if not self.unresolved:
            self._rows.clear()
            self._sealed.clear()
            self._durable.clear()
            self._refused.clear()


def _check_is_about(message: DetailGapRecovered, gap: GapToClose) -> None:
    """Refuse to close a gap about one record by another one, or one about a part of a stream by another stream.

    Raises:
        ProtocolViolation: naming the gap and what is different.
    """
    claim = f"DETAIL_GAP_RECOVERED names gap {message.gap_id}"
    if message.stream != gap.stream:
        raise ProtocolViolation(f"{claim}, which is about stream {gap.stream!r}, as one of stream {message.stream!r}")
    if isinstance(gap.scope, ResourceScope) and gap.scope.resource_id not in names_of(message.record_key):
        raise ProtocolViolation(f"{claim} with a record_key that is another one than the gap's")


def _missed_again(gap: GapToClose, why: str) -> GapReport:
    """A claim that rests on nothing that can be kept."""
    reason = known_reason(gap.reason) or Reason.UPSTREAM_ERROR
    return GapReport(
        stream=gap.stream,
        scope=gap.scope,
        reason=reason.value,
        recovery_kind=reason.kind.value,
        detail_locator=gap.detail_locator,
        last_error=why,
        waits_for_owner=reason in NEEDS_OWNER,
    )
