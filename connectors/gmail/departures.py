"""Messages that a whole walk did not find any more, said as absent in two runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.gmail.ledger import Ledger
from connectors.gmail.mailboxes import AGREEING
from connectors.gmail.position import Gone, MailboxPosition, identity, still_held
from connectors.gmail.reader import Reader
from connectors.gmail.rows import Box
from pdpp_worker.connector import Message

KEPT = 3
"""Runs whose word is remembered."""


def depart(position: MailboxPosition, uidvalidity: int, ledger: Ledger) -> None:
    """Note messages as not found by a whole walk."""
    if len(ledger):
        said: dict[str, list[str]] = {stream: [] for stream in ("messages", *position.ever)}
        position.gone.append(Gone(uidvalidity, ledger, said))


def depart_whole(position: MailboxPosition) -> None:
    """Note all messages of a mailbox that is no longer there, in all its lives; if it returns it is read anew."""
    for earlier in position.earlier:
        depart(position, earlier.uidvalidity, earlier.ledger)
    depart(position, position.uidvalidity, position.ledger)
    position.earlier, position.unread, position.ledger = [], [], Ledger()
    position.uid = position.looked = 0


def is_unsaid(position: MailboxPosition, streams: Sequence[str], run: str) -> bool:
    """Whether this run has to say anything of messages that earlier walks did not find."""
    return any(gone.unsaid(streams, run) for gone in position.gone)


def forget_agreed(position: MailboxPosition, whole_run: str) -> None:
    """Forget what two runs have said, of which the later one, `whole_run`, came to the end of all mailboxes.

    A run that missed a mailbox agrees to nothing, so its word is said again.
    """
    for gone in position.gone:
        gone.said = {stream: runs for stream, runs in gone.said.items() if whole_run not in runs[AGREEING - 1 :]}
    position.gone = [gone for gone in position.gone if gone.said and len(gone.ledger)]


def say(reader: Reader, box: Box, position: MailboxPosition, run: str) -> Iterator[Message | None]:
    """The deletions that this run's whole walk agrees with; None after each piece of them."""
    streams = ("messages", *reader.details)
    for gone in list(position.gone):
        _found_again(box, position, gone)
        unsaid = gone.unsaid(streams, run)
        before = Box(box.name, gone.uidvalidity, box.gmail)
        for entry in gone.ledger.entries() if unsaid else ():
            yield from reader.gone(before, entry, unsaid)
        for stream in unsaid:
            gone.said[stream] = [*gone.said[stream][-KEPT:], run]
        yield None


def _found_again(box: Box, position: MailboxPosition, gone: Gone) -> None:
    """Forget what is held again: a message from the trash has another UID and the same id of Gmail's."""
    held = still_held(box, position, gone.uidvalidity)
    gone.ledger.drop([entry.uid for entry in gone.ledger.entries() if identity(box, entry) in held])
