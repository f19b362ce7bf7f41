"""The cursor: for each mailbox, how far it was read, and a ledger of what was read."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.gmail.ledger import Ledger, MessageEntry
from connectors.gmail.rows import Box

FORM = 3
"""The form of the records of a message; since 2 it has all headers, since 3 its attachments have `extra`."""
WITNESSES = 4
"""Messages by which a mailbox is known again."""


class Numbers:
    """A set of 64-bit numbers, eight bytes each."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._sorted = array("Q", sorted(numbers))

    def __len__(self) -> int:
        return len(self._sorted)

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
class Gone:
    """Messages that a whole walk did not find any more, and the runs that said so of each stream."""

    uidvalidity: int
    ledger: Ledger
    said: dict[str, list[str]]

    def as_json(self) -> dict[str, Any]:
        """This, as JSON carries it."""
        return {"uidvalidity": self.uidvalidity, "ledger": self.ledger.as_json(), "said": self.said}

    def unsaid(self, streams: Sequence[str], run: str) -> list[str]:
        """The streams of which the run has not said it yet."""
        return [stream for stream in streams if run not in self.said.get(stream, [run])]


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
    since: int | None = None
    """Changes since this HIGHESTMODSEQ were asked for once only; the next look asks for them again."""
    delta: dict[str, int] | None = None
    """A look at changes that was cut short: `to` which HIGHESTMODSEQ it leads, and the `uid` it came to."""
    unread: list[int] = field(default_factory=list)
    """UIDs that are there and could not be read."""
    ledger: Ledger = field(default_factory=Ledger)
    earlier: list[Earlier] = field(default_factory=list)
    ever: list[str] = field(default_factory=list)
    """The detail streams that were read by any walk."""
    gone: list[Gone] = field(default_factory=list)
    doubt: bool = False
    """Whether the server's count and what it showed contradicted each other: all UIDs have to be compared."""
    looked: int = 0
    """UIDs above this, up to `uid`, were listed once only; the next run lists them again."""
    run: str = ""
    """The run that moves on with `uid`."""
    large: list[int] = field(default_factory=list)
    """UIDs of messages with a text or attachment beyond `cap`, bytes."""
    cap: int = 0
    form: int = FORM
    """The form of the records that were written; those of an older form are told anew, up to the UID `retold`."""
    retold: int = 0
    witnesses: dict[str, int] = field(default_factory=dict)
    """By UID, a checksum of what never changes of the messages read last: by them the mailbox is known again."""
    opened: int = 0
    """When the mailbox was opened last, seconds since 1970; 0 where a cursor does not tell."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MailboxPosition:
        """Read what `as_json` wrote."""
        return cls(
            uidvalidity=value["uidvalidity"],
            details=value["details"],
            uid=value["uid"],
            modseq=None if value["modseq"] is None else int(value["modseq"]),
            since=None if value.get("since") is None else int(value["since"]),
            delta=value.get("delta"),
            unread=value["unread"],
            ledger=Ledger.from_json(value["ledger"]),
            earlier=[
                Earlier(one["uidvalidity"], Ledger.from_json(one["ledger"]), one["details"]) for one in value["earlier"]
            ],
            ever=value.get("ever", _details_of(value)),
            gone=[
                Gone(one["uidvalidity"], Ledger.from_json(one["ledger"]), one["said"]) for one in value.get("gone", [])
            ],
            doubt=value.get("doubt", True),
            looked=value.get("looked", value["uid"]),
            run=value.get("run", ""),
            large=value.get("large", []),
            cap=value.get("cap", 0),
            form=value.get("form", 1),
            retold=value.get("retold", 0),
            witnesses=value.get("witnesses", {}),
            opened=value.get("opened", 0),
        )

    def as_json(self) -> dict[str, Any]:
        """The position as JSON carries it; a modseq has 63 bits, more than other languages' numbers."""
        return {
            "uidvalidity": self.uidvalidity,
            "details": self.details,
            "uid": self.uid,
            "modseq": None if self.modseq is None else str(self.modseq),
            "since": None if self.since is None else str(self.since),
            "delta": self.delta,
            "unread": self.unread,
            "ledger": self.ledger.as_json(),
            "earlier": [one.as_json() for one in self.earlier],
            "ever": self.ever,
            "gone": [one.as_json() for one in self.gone],
            "doubt": self.doubt,
            "looked": self.looked,
            "run": self.run,
            "large": self.large,
            "cap": self.cap,
            "form": self.form,
            "retold": self.retold,
            "witnesses": self.witnesses,
            "opened": self.opened,
        }

    def anew(self, uidvalidity: int, details: Sequence[str]) -> MailboxPosition:
        """The position from which the mailbox is walked again from its beginning."""
        earlier = [*self.earlier, Earlier(self.uidvalidity, self.ledger, self.details)]
        fresh = MailboxPosition(uidvalidity, list(details), earlier=earlier, ever=self.ever, gone=self.gone)
        fresh.wants(details)
        return fresh

    def wants(self, details: Sequence[str]) -> None:
        """Read these detail streams from here on."""
        self.details = list(details)
        self.ever = sorted({*self.ever, *details})

    def witness(self, uid: int, face: int) -> None:
        """Remember a message that was read; the last few are kept."""
        kept = sorted({*self.witnesses, str(uid)}, key=int)[-WITNESSES:]
        faces = {**self.witnesses, str(uid): face}
        self.witnesses = {one: faces[one] for one in kept}

    def covers(self, details: Sequence[str]) -> bool:
        """Whether the walk so far read these detail streams too."""
        return set(details) <= set(self.details)

    @property
    def count(self) -> int:
        """Messages that are known to be there."""
        return len(self.ledger) + len(self.unread)


def still_held(box: Box, position: MailboxPosition, uidvalidity: int) -> Numbers:
    """The identities under which messages of an earlier walk may be found among those that are held now."""
    if box.gmail:
        return Numbers(entry.gm for entry in position.ledger.entries())
    if uidvalidity == position.uidvalidity:
        return Numbers(entry.uid for entry in position.ledger.entries())
    return Numbers()


def identity(box: Box, entry: MessageEntry) -> int:
    """The number by which a message is the same one in two walks."""
    return entry.gm if box.gmail else entry.uid


def _details_of(value: dict[str, Any]) -> list[str]:
    """The detail streams that a cursor without `ever` was read with."""
    return sorted({*value["details"], *(stream for one in value["earlier"] for stream in one["details"])})
