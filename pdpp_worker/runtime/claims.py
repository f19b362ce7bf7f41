"""What a connector claims to have recovered, and the records on which each claim rests."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.keys import canonical_key, names_of
from pdpp_worker.protocol.messages import DetailGapRecovered, GapToClose, Record
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason, known_reason
from pdpp_worker.protocol.scope import ResourceScope
from pdpp_worker.runtime.rules import check_is_about
from pdpp_worker.store.effects import Closure, Miss, Row

Said = tuple[str, str, bool]
"""A stream, what an item of it is called, and whether only its whole records count."""


class Claims:
    """The gaps that START handed over, and the records of the slice that may be their proof."""

    def __init__(self, gaps: Iterable[GapToClose], *, own_record: bool) -> None:
        """`own_record`: a gap about one resource is closed by the record of that name only."""
        self.gaps = {gap.gap_id: gap for gap in gaps}
        """Those of which nothing was said yet."""
        self._own_record = own_record
        self._rows: dict[Said, list[Row]] = {}
        self._durable: dict[Said, bool] = {}

    def note(self, record: Record, row: Row) -> None:
        """A record came, which is there in the batch at hand."""
        if not self.gaps or record.op == "delete":
            return
        for name in names_of(record.key):
            for whole in {not record.partial, False}:
                self._rows.setdefault((record.stream, name, whole), []).append(row)

    def confirm(self, outdated: Collection[Row]) -> None:
        """The last batch is durable, but for these records, which are older than what was held."""
        for said, rows in self._rows.items():
            current = any(row not in outdated for row in rows)
            self._durable[said] = current or self._durable.get(said, False)
        self._rows = {}

    def closing(self, message: DetailGapRecovered) -> Closure:
        """What a claim comes to.

        Raises:
            ProtocolViolation: it names no gap that was handed over, rests on no record, or on one of another item.
        """
        gap = self.gaps.get(message.gap_id)
        if gap is None:
            raise ProtocolViolation(f"DETAIL_GAP_RECOVERED names gap {message.gap_id}, which START did not hand over")
        whole = self._own_record and isinstance(gap.scope, ResourceScope)
        said = message.stream, canonical_key(message.record_key), whole
        if not message.absent and said not in self._rows and said not in self._durable:
            raise ProtocolViolation(
                f"DETAIL_GAP_RECOVERED for gap {message.gap_id} is not proved: "
                f"no record of stream {message.stream!r} with its record_key was accepted "
                f"{'whole ' if whole else ''}in this slice"
            )
        if self._own_record:
            check_is_about(message, gap)
        if message.absent or self._durable.get(said):
            return Closure(gap.stream, gap.scope, message.absent)
        rests_on = tuple(self._rows.get(said, ()))
        return Closure(gap.stream, gap.scope, absent=False, rests_on=rests_on, instead=_missed_again(gap))

    def settle(self, gap_id: str | None) -> None:
        """Nothing more is to be said of a gap."""
        if gap_id is not None:
            self.gaps.pop(gap_id, None)
        if not self.gaps:
            self._rows.clear()
            self._durable.clear()


def _missed_again(gap: GapToClose) -> Miss:
    """What a claim comes to that rests on nothing but an older version than the one that is held."""
    reason = known_reason(gap.reason) or Reason.UPSTREAM_ERROR
    return Miss(
        stream=gap.stream,
        scope=gap.scope,
        reason=reason.value,
        recovery_kind=reason.kind.value,
        detail_locator=gap.detail_locator,
        last_error="what came is older than the version that is held",
        waits_for_owner=reason in NEEDS_OWNER,
    )
