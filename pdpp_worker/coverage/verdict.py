"""Whether anything of a stream is missing, in one word, and who can mend it. Pure: rows in, answers out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What an owner may believe about a stream. The most serious one that applies is the one that is said."""

    WAITING_FOR_OWNER = "waiting_for_owner"
    UNKNOWN = "unknown"
    WAITING_FOR_UPGRADE = "waiting_for_upgrade"
    RECOVERING = "recovering"
    KNOWN_ABSENT = "known_absent"
    COMPLETE = "complete"


class Mender(StrEnum):
    """Who can mend a miss."""

    TIME = "time"
    UPGRADE = "upgrade"
    OWNER = "owner"
    NOBODY = "nobody"


class Supply(StrEnum):
    """Whether the installed connector supplies a stream."""

    SUPPLIED = "supplied"
    NEVER = "never"
    """Its manifest says that this mechanism cannot."""
    UNDECLARED = "undeclared"
    """Its manifest does not know the stream (any more)."""
    NOT_INSTALLED = "not_installed"
    """There is no such connector."""


class Walk(StrEnum):
    """How the last walk of a stream that is over ended, or that of a stream which it depends on if that was worse."""

    NEVER = "never"
    UNFINISHED = "unfinished"
    CHECKPOINT_REFUSED = "checkpoint_refused"
    FINISHED = "finished"


@dataclass(frozen=True)
class StreamFacts:
    """All that the verdict on a stream depends on."""

    supply: Supply
    walk: Walk
    records: int
    """Held, without those that the source deleted."""
    by_owner: int
    """Unclosed gaps that wait for the owner, given-up ones included."""
    by_upgrade: int
    """Unclosed gaps that wait for a newer version of the connector."""
    by_time: int
    """Unclosed gaps that the fleet goes back for by itself."""
    whole_stream: bool
    """Whether one of them is about the whole stream, and so says why its walk did not end."""
    let_go: int
    """Gaps that were closed without the item: waived by the owner, or gone at the provider."""


def verdict(facts: StreamFacts) -> Verdict:
    """The verdict on a stream; see docs/coverage.md for the same in a table."""
    if facts.supply is Supply.NEVER:
        return Verdict.KNOWN_ABSENT
    if facts.supply is Supply.NOT_INSTALLED or facts.by_owner:
        return Verdict.WAITING_FOR_OWNER
    if facts.supply is Supply.UNDECLARED or (facts.walk is not Walk.FINISHED and not facts.whole_stream):
        return Verdict.UNKNOWN
    if facts.by_upgrade:
        return Verdict.WAITING_FOR_UPGRADE
    if facts.by_time:
        return Verdict.RECOVERING
    if facts.let_go and not facts.records:
        return Verdict.KNOWN_ABSENT
    return Verdict.COMPLETE


@dataclass(frozen=True)
class GapFacts:
    """All that decides who mends a gap."""

    supply: Supply
    """Of its stream."""
    closed: bool
    exhausted: bool
    timed: bool
    """Whether it has a time for its next attempt."""
    upgrade: bool
    """Whether only another version can mend it."""
    upgraded: bool
    """Whether that version is installed, and does not go back by itself."""
    paused: bool = False
    """Whether no run goes for it until the owner lets the connection go on."""


def mender(gap: GapFacts) -> Mender:
    """Who mends a gap: nobody once it is closed; the owner where nothing happens without them."""
    if gap.closed or gap.supply in (Supply.NEVER, Supply.UNDECLARED):
        return Mender.NOBODY
    if gap.exhausted or gap.supply is Supply.NOT_INSTALLED:
        return Mender.OWNER
    if gap.timed:
        return Mender.OWNER if gap.paused else Mender.TIME
    return Mender.UPGRADE if gap.upgrade and not gap.upgraded else Mender.OWNER
