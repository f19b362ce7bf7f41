"""The verdict on a stream, and who resolves a gap. Pure: rows in, answers out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """A stream's verdict for its owner; the most serious one that applies."""

    WAITING_FOR_OWNER = "waiting_for_owner"
    UNKNOWN = "unknown"
    WAITING_FOR_UPGRADE = "waiting_for_upgrade"
    UNKNOWN_PARTS = "unknown_parts"
    RECOVERING = "recovering"
    KNOWN_ABSENT = "known_absent"
    COMPLETE = "complete"


class Resolver(StrEnum):
    """Resolver of a gap."""

    TIME = "time"
    UPGRADE = "upgrade"
    OWNER = "owner"
    NOBODY = "nobody"


class Availability(StrEnum):
    """Whether the installed connector supplies a stream."""

    SUPPLIED = "supplied"
    NEVER = "never"
    """The manifest says that this mechanism cannot."""
    UNDECLARED = "undeclared"
    """The manifest does not know the stream (any more)."""
    NOT_INSTALLED = "not_installed"
    """There is no such connector."""


class WalkEnd(StrEnum):
    """End of the last walk of a stream, or of a stream that it depends on if that ended worse."""

    NEVER = "never"
    UNFINISHED = "unfinished"
    CHECKPOINT_REFUSED = "checkpoint_refused"
    FINISHED = "finished"


@dataclass(frozen=True)
class StreamFacts:
    """Facts that the verdict on a stream depends on."""

    availability: Availability
    walk: WalkEnd
    records: int
    """Held, without those that the source deleted."""
    by_owner: int
    """Unclosed gaps that wait for the owner, given-up ones included."""
    by_upgrade: int
    """Unclosed gaps that wait for a newer version of the connector."""
    by_time: int
    """Unclosed gaps that the fleet retries by itself."""
    whole_stream: bool
    """Whether one of them is about the whole stream, and so says why its walk did not end."""
    closed_without_item: int
    """Gaps that were closed without the item: waived by the owner, or gone at the provider."""
    deletions_waiting: int = 0
    """Held records that walks did not find, and that are deleted only by the owner's word."""
    unknown_parts: int = 0
    """Members of the source that the connector does not know, and that may hold something of the stream."""


def verdict(facts: StreamFacts) -> Verdict:
    """The verdict on a stream; see docs/coverage.md for the same in a table."""
    if facts.availability is Availability.NEVER:
        return Verdict.KNOWN_ABSENT
    if facts.availability is Availability.NOT_INSTALLED or facts.by_owner or facts.deletions_waiting:
        return Verdict.WAITING_FOR_OWNER
    if facts.availability is Availability.UNDECLARED or (facts.walk is not WalkEnd.FINISHED and not facts.whole_stream):
        return Verdict.UNKNOWN
    if facts.by_upgrade:
        return Verdict.WAITING_FOR_UPGRADE
    if facts.unknown_parts:
        return Verdict.UNKNOWN_PARTS
    if facts.by_time:
        return Verdict.RECOVERING
    if facts.closed_without_item and not facts.records:
        return Verdict.KNOWN_ABSENT
    return Verdict.COMPLETE


@dataclass(frozen=True)
class GapFacts:
    """Facts that decide who resolves a gap."""

    availability: Availability
    """The availability of its stream."""
    closed: bool
    exhausted: bool
    timed: bool
    """Whether it has a time for its next attempt."""
    upgrade: bool
    """Whether only another version can resolve it."""
    upgraded: bool
    """Whether that version is installed, and does not retry by itself."""
    paused: bool = False
    """Whether no run retries it until the owner resumes the connection."""


def resolver(gap: GapFacts) -> Resolver:
    """Tell who resolves a gap: nobody once it is closed; the owner where nothing happens without them."""
    if gap.closed or gap.availability in (Availability.NEVER, Availability.UNDECLARED):
        return Resolver.NOBODY
    if gap.exhausted or gap.availability is Availability.NOT_INSTALLED:
        return Resolver.OWNER
    if gap.timed:
        return Resolver.OWNER if gap.paused else Resolver.TIME
    return Resolver.UPGRADE if gap.upgrade and not gap.upgraded else Resolver.OWNER
