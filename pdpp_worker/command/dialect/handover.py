"""The gaps that a run hands to its connector, in START and page by page; each under a lease of this run alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Sequence

from pdpp_worker.command.dialect.outgoing import GapEntry
from pdpp_worker.protocol.messages import GapToClose
from pdpp_worker.protocol.scope import ResourceScope, scope_json

START_BYTES = 1024 * 1024
"""Longest list of gaps in START; what is over comes in pages."""
PAGE_BYTES = 256 * 1024
LEAST_BYTES, MOST_BYTES = 16 * 1024, 1024 * 1024


class Handover:
    """Hands every gap over once, and knows the lease of each."""

    def __init__(self, gaps: Sequence[GapToClose], token: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self._waiting = {gap.gap_id: gap for gap in gaps}
        self._given: dict[str, GapToClose] = {}
        self._leases = {gap.gap_id: token() for gap in gaps}

    def first(self) -> list[GapEntry]:
        """The gaps of START: all, if they are not too many."""
        return self._take(None, START_BYTES)

    def page(self, streams: Collection[str] | None, max_bytes: int | None) -> list[GapEntry]:
        """The next gaps, of these streams if any are named; at least one, if one is left."""
        size = PAGE_BYTES if max_bytes is None else min(max(max_bytes, LEAST_BYTES), MOST_BYTES)
        return self._take(streams, size)

    def named(self, gap_id: str, lease_id: str | None) -> GapToClose | None:
        """The gap of that id; None where it was not handed over in this run, or under another lease."""
        if lease_id is not None and lease_id != self._leases.get(gap_id):
            return None
        return self._given.get(gap_id)

    def only(self, stream: str, key: str | None, parent: str | None) -> GapToClose | None:
        """The gap that was handed over with this stream, key and parent, if just one was."""
        found = [
            gap
            for gap in self._given.values()
            if gap.stream == stream and _key_text(gap) == key and parent in (None, gap.parent_stream)
        ]
        return found[0] if len(found) == 1 and key is not None else None

    def _take(self, streams: Collection[str] | None, size: int) -> list[GapEntry]:
        entries: list[GapEntry] = []
        for gap_id, gap in list(self._waiting.items()):
            if streams is not None and gap.stream not in streams:
                continue
            entry = _entry(gap, self._leases[gap_id])
            size -= len(json.dumps(entry.line()))
            if size < 0 and entries:
                break
            entries.append(entry)
            self._given[gap_id] = self._waiting.pop(gap_id)
        return entries


def _entry(gap: GapToClose, lease_id: str) -> GapEntry:
    exact = gap.record_key
    if exact is None and isinstance(gap.scope, ResourceScope):
        exact = gap.scope.resource_id
    return GapEntry(
        gap_id=gap.gap_id,
        stream=gap.stream,
        record_key=exact,
        parent_stream=gap.parent_stream,
        detail_locator=gap.detail_locator,
        lease_id=lease_id,
        scope=scope_json(gap.scope),
        reason=gap.reason,
    )


def _key_text(gap: GapToClose) -> str | None:
    return gap.scope.resource_id if isinstance(gap.scope, ResourceScope) else None
