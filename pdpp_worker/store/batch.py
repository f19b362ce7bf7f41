"""What one transaction writes: plain rows, made by the runtime, written by the store."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.scope import Scope, TimeRange


class RecordRow(NamedTuple):
    """One RECORD, checked and encoded. `version` orders the versions of a key; None is unknown."""

    key: str
    text: str
    raw: bytes | None
    digest: bytes
    version: float | None
    emitted_at: datetime
    deleted: bool
    partial: bool


@dataclass(frozen=True)
class Rejection:
    """A RECORD that could not be stored as one, with its payload."""

    stream: str
    key: str | None
    error: str
    raw: bytes


@dataclass(frozen=True)
class Miss:
    """Something expected and not obtained."""

    stream: str
    scope: Scope
    reason: str
    recovery_kind: str
    parent_stream: str | None = None
    retry_after: datetime | None = None
    connector_version_required: str | None = None
    detail_locator: dict[str, Any] | None = None
    last_error: str | None = None
    waits_for_owner: bool = False


@dataclass(frozen=True)
class Closure:
    """A gap that is closed, by its id."""

    gap_id: int
    absent: bool


@dataclass
class StreamTally:
    """What a batch adds to the books of one stream."""

    emitted: int = 0
    progress_count: int | None = None
    progress_total: int | None = None
    state_staged: bool = False
    state_committed: bool = False


class Spent(NamedTuple):
    """What a run has spent of its budget: working time (s), requests, gaps tried."""

    seconds: float = 0.0
    requests: int = 0
    items: int = 0


@dataclass
class Batch:
    """Everything that commits together."""

    records: dict[str, list[RecordRow]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    checkpoints: dict[str, str] = field(default_factory=dict)
    """Stream to cursor, as exact JSON."""
    misses: list[Miss] = field(default_factory=list)
    closures: list[Closure] = field(default_factory=list)
    hydrated: dict[str, list[str]] = field(default_factory=dict)
    """Detail stream to the keys that were read; an open gap about one of them is thereby closed."""
    proofs: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Stream to the keys of whole records, and whether each says that there is nothing: an open gap about it closes."""
    tallies: defaultdict[str, StreamTally] = field(default_factory=lambda: defaultdict(StreamTally))
    seen: dict[str, float] = field(default_factory=dict)
    """Stream to the latest time of its records, Unix s."""
    covered: list[tuple[str, TimeRange]] = field(default_factory=list)
    """Periods that the connector has walked whole, but for known gaps."""
    cooldown_until: datetime | None = None
    """Until when the provider wants a pause from what it refused for its limits."""
    events: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)
    """(type, stream, data)."""

    def records_only(self) -> Batch:
        """Its records, with the way back to those that were refused; what else was said is left out."""
        kept = Batch(records=self.records, rejections=self.rejections)
        kept.misses = [miss for miss in self.misses if miss.reason == Reason.RECORD_REJECTED]
        for stream, tally in self.tallies.items():
            kept.tallies[stream] = replace(tally, state_committed=False)
        return kept

    def tally(self, stream: str) -> StreamTally:
        """The books of a stream in this batch."""
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
    """Which credentials the slice works with."""
