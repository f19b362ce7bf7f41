"""Skips of which a command does not say what they leave out: weighed at its end, by whether its cursor moved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from pdpp_worker.protocol.foreign import Totals
from pdpp_worker.protocol.messages import STREAM_FAILED, GapToClose, SkipResult
from pdpp_worker.protocol.reasons import Reason, RecoveryKind
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.protocol.unplaced import is_unplaced, unplaced
from pdpp_worker.store.effects import GapClosure


class CommandSkips:
    """The skips of one run, held until its end.

    Where the cursor of a stream comes with its skip, the connector vouches for it: a part of the stream is missing.
    Where none comes, the whole stream is.
    """

    def __init__(self) -> None:
        self._held: list[SkipResult] = []
        self._parts: set[tuple[str, str]] = set()
        self._totals: dict[str, Totals] = {}

    def hold(self, skip: SkipResult) -> bool:
        """Hold a skip that says neither what it leaves out nor that its stream failed; returns whether it does."""
        holds = (skip.scope or WHOLE_STREAM) == WHOLE_STREAM and skip.reason != STREAM_FAILED
        if holds:
            self._held.append(skip)
        return holds

    def note_totals(self, totals: Totals) -> None:
        """Note the latest totals of a stream."""
        self._totals[totals.stream] = totals

    def hold_shortfalls(self, explained: Collection[str]) -> None:
        """Hold a skip for each stream whose totals fall short, but for those of which a miss was told."""
        for stream, totals in self._totals.items():
            if totals.covered < totals.considered and stream not in explained:
                self._held.append(_shortfall(totals))

    def settle(self, moved: Callable[[str], bool]) -> Iterator[SkipResult]:
        """The skips that were held, as what they are; `moved` says whether a cursor of that stream came."""
        held, self._held = self._held, []
        for skip in held:
            if moved(skip.stream):
                self._parts.add((skip.stream, skip.reason))
                yield skip.model_copy(update={"scope": unplaced(skip.reason)})
            else:
                yield skip

    def passed(self, gaps: Iterable[GapToClose], walked: Collection[str]) -> Iterator[tuple[str, GapClosure | None]]:
        """The gaps of such skips that this walk, without a cursor, has come past: their ids, and what closes them.

        None closes one that the connector skipped again.
        """
        for gap in gaps:
            if not is_unplaced(gap.scope) or gap.stream not in walked:
                continue
            again = any(gap.scope == unplaced(reason) for stream, reason in self._parts if stream == gap.stream)
            yield gap.gap_id, None if again else GapClosure(gap.stream, gap.scope, absent=False)


def _shortfall(totals: Totals) -> SkipResult:
    return SkipResult(
        stream=totals.stream,
        reason=Reason.UPSTREAM_ERROR.value,
        message=f"Of {totals.considered} items that were considered, {totals.covered} are covered",
        scope=WHOLE_STREAM,
        recovery_kind=RecoveryKind.RUNTIME,
    )
