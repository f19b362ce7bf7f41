"""A provider of numbered items whose every read goes as a test wants it, and the connector that collects them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from packaging.version import Version

from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    BatchScope,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    Reason,
    Record,
    ResourceScope,
    Start,
    State,
    skip,
)
from pdpp_worker.protocol.messages import DetailCoverage
from tests.support.scripted import NOW, record

ITEMS, DETAILS, NOTES, EXTRA = "items", "details", "notes", "extra"
OPEN = {"type": "object", "properties": {"bad": {"const": False}}}
STREAMS: dict[str, dict[str, Any]] = {
    ITEMS: {"name": ITEMS, "schema": OPEN, "cursor_field": "v"},
    DETAILS: {
        "name": DETAILS,
        "schema": OPEN,
        "cursor_field": "v",
        "parent_streams": [ITEMS],
        "coverage_strategy": "parent_detail_accounting",
    },
    NOTES: {"name": NOTES, "schema": OPEN, "cursor_field": "v"},
    EXTRA: {"name": EXTRA, "schema": OPEN, "cursor_field": "v"},
}
WALKED = (ITEMS, NOTES, EXTRA)
"""Streams with a cursor of their own."""
EACH_PART = 3
"""Every third note is a part of the source: it is missed by its partition, and not by its id."""

FATES = ("readable", "slow", "pressed", "later", "partial", "refused", "unauthorised", "silent", "gone")
"""The result of a read. `later`: only a newer version reads it. `silent`: nothing is said of its gap when asked for."""
_REASONS = {
    "pressed": Reason.RATE_LIMITED,
    "later": Reason.TEMPLATE_UNKNOWN,
    "unauthorised": Reason.CREDENTIALS_EXPIRED,
}

Key = tuple[str, str]
"""A stream, and the name of an item or a part in it."""


class Word(NamedTuple):
    """The word of a message about one item: missed, read, hydrated, claimed (to be recovered) or gone."""

    kind: str
    key: Key
    reason: str = ""


Said = tuple[Message, Word | None]


@dataclass
class Source:
    """The provider. Items have the numbers from 1 to the size of their stream."""

    sizes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WALKED, 2))
    fates: dict[Key, str] = field(default_factory=dict)
    needs: dict[Key, str] = field(default_factory=dict)
    """The first version that reads an item whose fate is `later`."""
    versions: dict[Key, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Streams whose walk fails half-way."""
    session: int = 0
    """Grows with every sign-in; an older one is refused."""
    signed_in: bool = True

    def heal(self) -> None:
        """Let everything be readable, but for what is gone."""
        self.fates = {key: fate for key, fate in self.fates.items() if fate == "gone"}
        self.broken.clear()
        self.needs.clear()

    def expected(self, stream: str, size: int) -> list[str]:
        """The names of the first items that can still be read; the details of an item that has gone go with it."""
        streams = (ITEMS, DETAILS) if stream == DETAILS else (stream,)
        names = map(str, range(1, size + 1))
        return [name for name in names if all(self.fates.get((one, name)) != "gone" for one in streams)]

    def messages(self, start: Start, version: str) -> Iterator[Said]:
        """All that this version of the connector says."""
        return Reading(self, start, version).messages()


class Reading:
    """One call of the connector."""

    def __init__(self, source: Source, start: Start, version: str) -> None:
        self._source = source
        self._start = start
        self._version = version
        self._session = source.session

    def messages(self) -> Iterator[Said]:
        """First what it goes back for, then the walk."""
        for gap in self._start.detail_gaps:
            yield from self._recover(gap, name_of(gap.scope))
        for stream in () if self._start.recovery_only else WALKED:
            if self._start.wants(stream):
                yield from self._walk(stream)

    def _walk(self, stream: str) -> Iterator[Said]:
        first, last = (self._start.cursor(stream) or 0) + 1, self._source.sizes[stream]
        for number in range(first, last + 1):
            if stream in self._source.broken and number > (first + last) // 2:
                yield skip(stream, Reason.UPSTREAM_ERROR, WHOLE_STREAM), None
                return
            name = str(number)
            part = BatchScope(partition={"part": name}) if stream == NOTES and number % EACH_PART == 0 else None
            read = yield from self._read((stream, name), part)
            if read and stream == ITEMS and self._start.wants(DETAILS):
                yield from self._detail(name)
            yield State(stream=stream, cursor=number), None

    def _read(self, key: Key, part: BatchScope | None) -> Generator[Said, None, bool]:
        """One item in a walk; whether it is there."""
        fate = self._fate(key)
        if fate in ("readable", "refused"):
            yield self._record(key, fate)
        elif part is not None and fate != "gone":
            reason = _reason(fate)
            yield skip(key[0], reason, part), Word("missed", (key[0], f"part {key[1]}"), reason.value)
        elif fate != "gone":
            yield from self._miss(key, fate)
        return fate == "readable"

    def _detail(self, name: str) -> Iterator[Said]:
        key, fate = (DETAILS, name), self._fate((DETAILS, name))
        if fate == "gone":
            return
        read = fate in ("readable", "refused")
        if read:
            yield self._record(key, fate)
        else:
            yield from self._miss(key, fate)
        account = DetailCoverage(
            stream=DETAILS,
            state_stream=ITEMS,
            required_keys=[name],
            hydrated_keys=[name] if read else [],
            gap_keys=[] if read else [name],
        )
        yield account, Word("hydrated", key) if read else None

    def _recover(self, gap: GapToClose, name: str) -> Iterator[Said]:
        key = gap.stream, name.removeprefix("part ")
        missing, fate = (gap.stream, name), self._fate(key)
        claim = DetailGapRecovered(gap_id=gap.gap_id, stream=gap.stream, record_key=key[1], absent=fate == "gone")
        if fate == "gone":
            yield claim, Word("gone", missing)
        elif fate == "refused":
            yield self._record(key, fate)
            yield claim, None  # which breaks a rule, and ends the slice
        elif fate == "readable":
            yield self._record(key, fate)
            if gap.stream == ITEMS:
                yield from self._detail_of_recovered(key[1])
            yield claim, Word("claimed", missing)
        elif fate != "silent":
            yield from self._miss(key, fate, gap.gap_id, missing)

    def _detail_of_recovered(self, name: str) -> Iterator[Said]:
        """In a recovery a record proves nothing by itself."""
        key, fate = (DETAILS, name), self._fate((DETAILS, name))
        if fate == "readable":
            yield self._record(key, fate)[0], None
        elif fate == "refused":
            yield self._record(key, fate)
        elif fate != "gone":
            yield from self._miss(key, fate)

    def _fate(self, key: Key) -> str:
        source = self._source
        if not source.signed_in or source.session != self._session:
            raise AuthExpired("401")
        fate = source.fates.get(key, "readable")
        if fate == "later" and Version(self._version) >= Version(source.needs[key]):
            return "readable"
        return fate

    def _record(self, key: Key, fate: str) -> Said:
        stream, name = key
        bad = fate == "refused"
        said = Word("missed", key, "record_rejected") if bad else Word("read", key)
        return record(name, stream, v=self._source.versions.get(key, 1), bad=bad), said

    def _miss(self, key: Key, fate: str, gap_id: str | None = None, missing: Key | None = None) -> Iterator[Said]:
        stream, name = key
        if fate == "partial":
            data = {"v": self._source.versions.get(key, 1)}
            yield Record(stream=stream, key=name, data=data, emitted_at=NOW, partial=True), None
        pause = datetime.now(UTC) + timedelta(hours=1) if fate == "pressed" else None
        reason = _reason(fate).value
        gap = DetailGap(stream=stream, record_key=name, reason=reason, gap_id=gap_id, retry_after=pause)
        yield gap, Word("missed", missing or key, reason)


def name_of(scope: Any) -> str:
    """The name of a scope here; a whole stream is `*`."""
    if isinstance(scope, ResourceScope):
        return scope.resource_id
    part = scope.partition.get("part")
    return "*" if part is None else f"part {part}"


def _reason(fate: str) -> Reason:
    return _REASONS.get(fate, Reason.TIMED_OUT)
