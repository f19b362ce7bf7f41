"""Derives the cost of a refused message: the cursors that may not move, because a miss could lie behind them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pdpp_worker.protocol.foreign import ForeignGap, Refused
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import (
    DetailCoverage,
    DetailGapRecovered,
    Inventory,
    LongRecord,
    LongState,
    Record,
    SkipResult,
    State,
)

WIRE_TYPES: Mapping[type, str] = {
    Record: "RECORD",
    LongRecord: "RECORD",
    State: "STATE",
    LongState: "STATE",
    SkipResult: "SKIP_RESULT",
    ForeignGap: "DETAIL_GAP",
    DetailGapRecovered: "DETAIL_GAP_RECOVERED",
    DetailCoverage: "DETAIL_COVERAGE",
    Inventory: "INVENTORY",
}
"""A violation by one of these costs the message; any other ends the run."""

_HARMLESS = frozenset(
    {
        *("STATE", "INVENTORY", "PROGRESS", "ASSISTANCE", "ASSISTANCE_STATUS", "INTERACTION"),
        *("DETAIL_GAP_RECOVERED", "DETAIL_GAP_ATTEMPTED", "DETAIL_GAPS_PAGE_REQUEST"),
        # Whether a line that is no object was a RECORD is shown by the count in DONE.
        "line",
    }
)
"""These types move no cursor past anything."""


_ABOUT_A_STREAM = frozenset({"RECORD", "DETAIL_GAP", "DETAIL_COVERAGE"})
"""These always are; where its name cannot be read, it may be any."""


class Costs:
    """Judges refused messages of one run."""

    def __init__(self, manifest: Manifest, in_scope: Collection[str]) -> None:
        self._manifest = manifest
        self._in_scope = set(in_scope)

    def of(self, kind: str, fields: Mapping[str, Any], field: str, why: str) -> Refused:
        """The refusal of a message of this type with these members."""
        stream = fields.get("stream")
        return Refused(
            message_type=kind,
            field=field,
            why=why,
            withholds=tuple(sorted(self._withheld(kind, fields) & self._in_scope)),
            misses=stream if kind == "SKIP_RESULT" and self._is_in_scope(stream) else None,
            unkept=stream if kind == "STATE" and self._is_in_scope(stream) else None,
        )

    def _withheld(self, kind: str, fields: Mapping[str, Any]) -> set[str]:
        if kind in _HARMLESS:
            return set()
        stream = fields.get("stream")
        if kind == "DETAIL_COVERAGE":
            told = [*self._parents(stream), *self._named(fields.get("state_stream"))]
        elif kind == "DETAIL_GAP":
            told = [*self._parents(stream), *self._named(fields.get("parent_stream")), *self._named(stream)]
        else:
            told = self._named(stream)
        if not told and (stream is not None or kind in _ABOUT_A_STREAM) and not isinstance(stream, str):
            return self._in_scope
        return {*told, *(keeper for one in told for keeper in self._manifest.keepers(one))}

    def _parents(self, stream: Any) -> list[str]:
        declared = self._manifest.stream(stream) if isinstance(stream, str) else None
        return [] if declared is None else declared.parents

    def _named(self, stream: Any) -> list[str]:
        return [stream] if self._is_in_scope(stream) else []

    def _is_in_scope(self, stream: Any) -> bool:
        return isinstance(stream, str) and stream in self._in_scope
