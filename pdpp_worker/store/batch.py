"""The rows of one transaction: made by the runtime, written by the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from pdpp_worker.protocol.messages import SourceMember
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.store.effects import Effect, GapReport


class RecordRow(NamedTuple):
    """One RECORD, checked and encoded.

    Its place among the versions of its key is a time (`version`, Unix s) or a number (`digits`), which are not compared
    with each other. Without either, versions stand in the order of their receipt.
    """

    key: str
    text: bytes
    """JSON in UTF-8; empty where what is held stays."""
    raw: bytes | None
    digest: bytes
    version: float | None
    emitted_at: datetime
    deleted: bool
    partial: bool
    digits: str | None = None
    absent: bool = False
    """A deletion for the reason alone that a whole listing did not hold it."""


row_of_fields: Callable[[tuple[Any, ...]], RecordRow] = partial(tuple.__new__, RecordRow)
"""Makes one of all its fields without a call of Python's own, of which there would be one for each record."""


@dataclass(frozen=True)
class Rejection:
    """A RECORD that could not be stored as one, with its payload."""

    stream: str
    key: str | None
    error: str
    raw: bytes


class Period(NamedTuple):
    """Half-open, `[since, until)`; None where an end is open, which an open `until` is up to now."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass
class StreamTally:
    """The counts that a batch adds to one stream."""

    emitted: int = 0
    progress_count: int | None = None
    progress_total: int | None = None
    state_staged: bool = False
    state_committed: bool = False


class Spent(NamedTuple):
    """The spent part of a run's budget: working time (s), requests, gaps tried."""

    seconds: float = 0.0
    requests: int = 0
    items: int = 0


class Walk(NamedTuple):
    """The streams that a slice walks, and which of their cursors it did not use but walks from the beginning.

    `keepers_of_parents`: a stream on which others hang to the streams that keep its place.
    """

    streams: Sequence[str] = ()
    afresh: frozenset[str] = frozenset()
    keepers_of_parents: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass
class Batch:
    """Everything that commits together."""

    records: dict[str, list[RecordRow]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    checkpoints: dict[str, str] = field(default_factory=dict)
    """Stream to cursor, as exact JSON."""
    effects: list[Effect] = field(default_factory=list)
    """Reports and closings of gaps, in the order of their messages."""
    tallies: defaultdict[str, StreamTally] = field(default_factory=lambda: defaultdict(StreamTally))
    seen: dict[str, float] = field(default_factory=dict)
    """Stream to the latest time of its records, Unix s."""
    covered: list[tuple[str, Period]] = field(default_factory=list)
    """Periods that the connector has walked whole, but for known gaps."""
    inventories: dict[str, list[SourceMember]] = field(default_factory=dict)
    """Part of the source to all of its members."""
    cooldown_until: datetime | None = None
    """Until when the provider wants a pause from what it refused for its limits."""
    refused: Counter[str] = field(default_factory=Counter)
    """Message type and field to how many messages were refused."""
    events: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)
    """(type, stream, data)."""

    def records_only(self) -> Batch:
        """Its records, with the way back to those that were refused; what else was said is left out."""
        kept = Batch(records=self.records, rejections=self.rejections)
        kept.effects = [
            one for one in self.effects if isinstance(one, GapReport) and one.reason == Reason.RECORD_REJECTED
        ]
        for stream, tally in self.tallies.items():
            kept.tallies[stream] = replace(tally, state_committed=False)
        return kept

    def tally(self, stream: str) -> StreamTally:
        """The counts of a stream in this batch."""
        return self.tallies[stream]


@dataclass(frozen=True)
class Claim:
    """The right to write for a connection: the lease's fencing token, and for which run."""

    connection_id: int
    run_id: int
    token: int
    holder: str
    lease_s: float
    credentials_version: int = 0
    """The version of the credentials that the slice works with."""
