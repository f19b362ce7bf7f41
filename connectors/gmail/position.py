"""The cursor: for each mailbox, how far it was read, and a ledger of what was read."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.gmail.ledger import Ledger, MessageEntry
from connectors.gmail.rows import Box


class Numbers:
    """A set of 64-bit numbers, eight bytes each."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._sorted = array("Q", sorted(numbers))

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        at = bisect_left(self._sorted, number)
        return at < len(self._sorted) and self._sorted[at] == number


@dataclass
class Earlier:
    """Messages read before the mailbox had to be walked anew, and not compared with the new walk yet."""

    uidvalidity: int
    ledger: Ledger
    details: list[str]

    def as_json(self) -> dict[str, Any]:
        """This, as JSON carries it."""
        return {"uidvalidity": self.uidvalidity, "ledger": self.ledger.as_json(), "details": self.details}


@dataclass
class MailboxPosition:
    """The progress through one mailbox, under one UIDVALIDITY."""

    uidvalidity: int
    details: list[str]
    """The detail streams that were read with the messages."""
    uid: int = 0
    """Everything up to this UID was read."""
    modseq: int | None = None
    """Changes up to this HIGHESTMODSEQ are known."""
    delta: dict[str, int] | None = None
    """A look at changes that was cut short: `to` which HIGHESTMODSEQ it leads, and the `uid` it came to."""
    unread: list[int] = field(default_factory=list)
    """UIDs that are there and could not be read."""
    ledger: Ledger = field(default_factory=Ledger)
    earlier: list[Earlier] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MailboxPosition:
        """Read what `as_json` wrote."""
        return cls(
            uidvalidity=value["uidvalidity"],
            details=value["details"],
            uid=value["uid"],
            modseq=None if value["modseq"] is None else int(value["modseq"]),
            delta=value.get("delta"),
            unread=value["unread"],
            ledger=Ledger.from_json(value["ledger"]),
            earlier=[
                Earlier(one["uidvalidity"], Ledger.from_json(one["ledger"]), one["details"]) for one in value["earlier"]
            ],
        )

    def as_json(self) -> dict[str, Any]:
        """The position as JSON carries it; a modseq has 63 bits, more than other languages' numbers."""
        return {
            "uidvalidity": self.uidvalidity,
            "details": self.details,
            "uid": self.uid,
            "modseq": None if self.modseq is None else str(self.modseq),
            "delta": self.delta,
            "unread": self.unread,
            "ledger": self.ledger.as_json(),
            "earlier": [one.as_json() for one in self.earlier],
        }

    def anew(self, uidvalidity: int, details: Sequence[str]) -> MailboxPosition:
        """The position from which the mailbox is walked again from its beginning."""
        earlier = [*self.earlier, Earlier(self.uidvalidity, self.ledger, self.details)]
        return MailboxPosition(uidvalidity, list(details), earlier=earlier)

    def covers(self, details: Sequence[str]) -> bool:
        """Whether the walk so far read these detail streams too."""
        return set(details) <= set(self.details)

    @property
    def count(self) -> int:
        """Messages that are known to be there."""
        return len(self.ledger) + len(self.unread)


def still_held(box: Box, position: MailboxPosition, earlier: Earlier) -> Numbers:
    """The identities, among those of the earlier walk, that the new walk has found again."""
    if box.gmail:
        return Numbers(entry.gm for entry in position.ledger.entries())
    if earlier.uidvalidity == box.uidvalidity:
        return Numbers(entry.uid for entry in position.ledger.entries())
    return Numbers()


def identity(box: Box, entry: MessageEntry) -> int:
    """The number by which a message is the same one in two walks."""
    return entry.gm if box.gmail else entry.uid
