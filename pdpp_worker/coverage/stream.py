"""Rows of the coverage: one stream of one connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pdpp_worker.coverage.verdict import Availability, Verdict
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.store.views.coverage_views import Covered, EndedWalk
from pdpp_worker.store.views.member_views import MemberView


@dataclass(frozen=True)
class Interval:
    """A period `[since, until)` that was walked; None where an end is open."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class CompleteWalk:
    """The last walk that came to the stream's end; `considered` counts the items it met."""

    run_id: int | None
    at: datetime
    considered: int | None

    @classmethod
    def of(cls, covered: Covered | None) -> CompleteWalk | None:
        """Read the stream's row, if a walk ever came to its end."""
        if covered is None or covered.last_walk_at is None:
            return None
        return cls(covered.last_walk_run_id, covered.last_walk_at, covered.last_walk_considered)


@dataclass(frozen=True)
class StreamCoverage:
    """Coverage of one stream. These names are the keys of `--json`; None is unknown."""

    connection: str
    connector: str
    stream: str
    supply: Availability
    optional: bool
    """The connector's manifest says that a source may be without it."""
    verdict: Verdict
    because: str
    next: str
    asked_of_owner: list[str]
    """The actions that wait for the owner, each as a sentence; empty: there are none."""
    owner_actions: list[str]
    """The same actions in a word or two, which stay the same however the sentences are worded."""
    records: int | None
    missing: int | None
    open_gaps: dict[str, dict[str, int]]
    """Unclosed gaps, given-up ones included: recovery kind to reason to count."""
    exhausted: int
    fetching: int
    waived: int
    absent_upstream: int
    in_doubt: int
    """Held records that a walk did not find; another walk has to agree before they are deleted."""
    deletions_waiting: int
    """Held records that walks did not find, and that are deleted only by the owner's word."""
    unknown_parts: list[MemberView]
    """Members of the source that the connector does not know, and that may hold something of the stream."""
    next_attempt_at: datetime | None
    done_at: datetime | None
    done_give_or_take_s: float | None
    waits_until: datetime | None
    """End of the wait in which nothing is asked for at the connection; None: it does not wait."""
    wait_reason: str | None
    max_seen: datetime | None
    intervals: list[Interval]
    last_complete_walk: CompleteWalk | None
    last_walk: EndedWalk | None

    @property
    def gaps_by_reason(self) -> dict[str, int]:
        """Reason to the number of unclosed gaps; a reason has one recovery kind."""
        return {reason: count for reasons in self.open_gaps.values() for reason, count in reasons.items()}


def ancestors(manifest: Manifest | None, stream: str) -> list[str]:
    """The streams that a stream depends on, the nearest first."""
    found: list[str] = []
    level = [stream]
    while level:
        declared = [one for name in level if manifest and (one := manifest.stream(name))]
        level = [parent for one in declared for parent in one.parents if parent not in found]
        found += dict.fromkeys(level)
    return found


def never_supplied(stream: StreamManifest, settings: Mapping[str, Any]) -> str | None:
    """The reason why a connection with these settings never gets the stream; None if it does."""
    availability = stream.availability
    return availability.reason if availability is not None and availability.concerns(settings) else None


def is_optional(manifest: Manifest | None, stream: str) -> bool:
    """Whether the installed connector says that a source may be without the stream."""
    declared = manifest.stream(stream) if manifest else None
    return declared is not None and not declared.required


def availability_of(manifest: Manifest | None, stream: str, settings: Mapping[str, Any]) -> Availability:
    """Whether the installed connector supplies a stream to a connection with these settings."""
    if manifest is None:
        return Availability.NOT_INSTALLED
    declared = manifest.stream(stream)
    if declared is None:
        return Availability.UNDECLARED
    return Availability.SUPPLIED if never_supplied(declared, settings) is None else Availability.NEVER
