"""A store in memory: the records, cursors and gaps after the batches of some runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import blake2b
from itertools import count
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from typing import Any

from pdpp_worker.conformance.deletions import Deletions
from pdpp_worker.protocol.keys import names_of
from pdpp_worker.protocol.messages import GapToClose
from pdpp_worker.protocol.reasons import MAY_HAVE_PASSED, RecoveryKind
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, scope_hash
from pdpp_worker.store.batch import Batch, RecordRow
from pdpp_worker.store.effects import (
    Closing,
    GapKey,
    GapReport,
    KeyFetched,
    Row,
    last_words,
    may_close,
    without_outdated,
)
from pdpp_worker.store.versions import Content, Fates, apply_rows, as_stored, fates_of

Held = dict[str, dict[str, Any]]
"""Stream and key to data, without what was deleted."""


A_DAY = timedelta(days=1)


@dataclass
class Gap:
    """A gap that is open."""

    gap_id: int
    miss: GapReport
    run: int = 0
    """The run that met it last."""
    looked_at_again: timedelta | None = None
    """When the same version looks once more at what it could not read; counted from the first attempt."""

    @property
    def to_close(self) -> GapToClose:
        """The gap as START hands it over."""
        return GapToClose(
            gap_id=str(self.gap_id),
            stream=self.miss.stream,
            scope=self.miss.scope,
            reason=self.miss.reason,
            detail_locator=self.miss.detail_locator,
        )


@dataclass
class Ledger:
    """Commits batches as the store does."""

    files: Path
    """The connection's own directory."""
    account: str | None = None
    """The identity of the account that was read first."""
    cursors: dict[str, Any] = field(default_factory=dict)
    gaps: dict[GapKey, Gap] = field(default_factory=dict)
    """Open gaps."""
    deletions: Deletions = field(default_factory=Deletions)
    absent: list[int] = field(default_factory=list)
    """Gaps that were closed because the provider affirmed that there is nothing."""
    _rows: dict[str, dict[str, RecordRow]] = field(default_factory=lambda: defaultdict(dict))
    _ids: count[int] = field(default_factory=lambda: count(1))
    _closed: dict[GapKey, Gap] = field(default_factory=dict)
    _run: int = 0
    _now: timedelta = timedelta()

    def copy(self) -> Ledger:
        """The same, to go on from in another way."""
        twin = deepcopy(self)
        twin.files = Path(mkdtemp(dir=self.files.parent))
        copytree(self.files, twin.files, dirs_exist_ok=True)
        return twin

    def begin_run(self, now: timedelta) -> None:
        """The batches that follow are of another run, so long after the first attempt."""
        self._run, self._now = self._run + 1, now

    def commit(self, batch: Batch) -> None:
        """Take a whole batch."""
        fates = {stream: self._write(stream, rows) for stream, rows in batch.records.items()}
        self.deletions.take(self._run, batch.records, fates, self._rows)
        outdated = frozenset(Row(stream, at) for stream, one in fates.items() for at in one.outdated)
        for place, word in last_words(without_outdated(batch.effects, outdated)).items():
            for miss in word.reports:
                self._open(place, miss)
            for close in word.closes:
                self._close(place, close)
        self.cursors.update({stream: json.loads(cursor) for stream, cursor in batch.checkpoints.items()})

    def missing_names(self) -> dict[str, set[str]]:
        """The resources that are missing in each stream with open gaps."""
        names: defaultdict[str, set[str]] = defaultdict(set)
        for gap in self.gaps.values():
            resource = gap.miss.scope.resource_id if isinstance(gap.miss.scope, ResourceScope) else None
            names[gap.miss.stream].update(() if resource is None else (resource,))
        return names

    def end_walk(self, streams: Collection[str]) -> None:
        """These streams were walked to their end: what two walks did not find is deleted, and a gap about the whole of
        one is closed.
        """
        for stream in streams:
            self._settle(stream)
            place = stream, scope_hash(WHOLE_STREAM)
            if place in self.gaps:
                self._closed[place] = self.gaps.pop(place)

    def held(self) -> Held:
        """The records."""
        return {
            stream: {key: json.loads(row.raw or row.text) for key, row in rows.items() if not row.deleted}
            for stream, rows in self._rows.items()
        }

    def deleted(self, stream: str) -> set[str]:
        """The keys of a stream that were deleted."""
        return {key for key, row in self._rows.get(stream, {}).items() if row.deleted}

    def files_held(self) -> dict[str, str]:
        """The connection's own files, and the digest of each."""
        files = sorted(path for path in self.files.rglob("*") if path.is_file())
        return {str(path.relative_to(self.files)): blake2b(path.read_bytes()).hexdigest() for path in files}

    def due(self, now: timedelta = timedelta()) -> list[Gap]:
        """The open gaps that a run can close, so long after the first attempt."""
        return [gap for gap in self.gaps.values() if _is_due(gap, now)]

    def keep(self, gaps: Collection[Gap]) -> None:
        """Leave only these gaps open."""
        kept = {gap.gap_id for gap in gaps}
        self.gaps = {key: gap for key, gap in self.gaps.items() if gap.gap_id in kept}

    def _settle(self, stream: str) -> None:
        """A walk that has missed a part of the stream agrees to nothing, and what is missing is not absent."""
        gaps = [gap for (name, _), gap in self.gaps.items() if name == stream]
        if any(gap.run == self._run and not isinstance(gap.miss.scope, ResourceScope) for gap in gaps):
            return
        named = {gap.miss.scope.resource_id for gap in gaps if isinstance(gap.miss.scope, ResourceScope)}
        missing = {key for key in self._rows.get(stream, {}) if not named.isdisjoint(names_of(key))} if named else set()
        self.deletions.settle(stream, missing, self._rows)

    def _write(self, stream: str, rows: list[RecordRow]) -> Fates:
        """Write a stream's rows of a batch."""
        held = self._rows[stream]
        stored = {key: as_stored(row) for key, row in held.items()}
        contents = {
            row.key: Content(json.loads(held[row.key].raw or held[row.key].text), held[row.key].partial)
            for row in rows
            if row.partial and row.key in held
        }
        played = apply_rows(list(enumerate(rows)), stored, contents)
        for key, row in played.changed.items():
            kept = held.get(key)
            held[key] = row if row.text or kept is None else kept._replace(deleted=True, version=row.version)
        return fates_of(played, stored)

    def _open(self, place: GapKey, miss: GapReport) -> None:
        gap = self.gaps.get(place) or self._closed.pop(place, None)
        is_anew = gap is None or (place not in self.gaps and gap.run != self._run)
        if gap is None:
            gap = Gap(next(self._ids), miss)
        gap.looked_at_again = self._look_again(gap, miss, is_anew=is_anew)
        locator = miss.detail_locator if miss.detail_locator is not None else gap.miss.detail_locator
        gap.miss, gap.run = replace(miss, detail_locator=locator), self._run
        self.gaps[place] = gap

    def _look_again(self, gap: Gap, miss: GapReport, *, is_anew: bool) -> timedelta | None:
        """When the version that could not read it looks once more, whatever its walks say until then."""
        if miss.recovery_kind == RecoveryKind.RUNTIME:
            return None
        if is_anew or gap.miss.recovery_kind == RecoveryKind.RUNTIME:
            may_have_passed = miss.reason in MAY_HAVE_PASSED and miss.scope != WHOLE_STREAM
            return self._now + A_DAY if may_have_passed else None
        return gap.looked_at_again if gap.looked_at_again is not None and gap.looked_at_again > self._now else None

    def _close(self, place: GapKey, close: Closing) -> None:
        gap = self.gaps.get(place)
        if gap is None or not may_close(close, gap.miss.reason, met_by_run=gap.run == self._run):
            return
        self._closed[place] = self.gaps.pop(place)
        gap.run = self._run
        if not isinstance(close, KeyFetched) and close.absent:
            self.absent.append(gap.gap_id)


def _is_due(gap: Gap, now: timedelta) -> bool:
    if gap.miss.recovery_kind == RecoveryKind.RUNTIME:
        return True
    return gap.looked_at_again is not None and gap.looked_at_again <= now
