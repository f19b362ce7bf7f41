"""The position from which the walk over a mailbox goes on, and whether the mailbox is still the same."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.gmail.client import sequence_set
from connectors.gmail.position import MailboxPosition
from connectors.gmail.rows import FACE_ITEMS, face
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import BatchScope


def beginning(
    before: MailboxPosition | None, selected: Selected, session: Session, details: Sequence[str]
) -> MailboxPosition:
    """The position to go on from: the saved one, unless the mailbox has a new life or more is wanted than was read.

    A mailbox that answers with other messages than were read has a new life too, whatever its UIDVALIDITY: a server
    that was restored hands its UIDs out again.
    """
    if before is None:
        fresh = MailboxPosition(selected.uidvalidity, [])
        fresh.wants(details)
        return fresh
    if (
        before.uidvalidity != selected.uidvalidity
        or not before.covers(details)
        or not is_same(before, selected, session)
    ):
        return before.anew(selected.uidvalidity, details)
    before.wants(details)
    return before


def is_same(before: MailboxPosition, selected: Selected, session: Session) -> bool:
    """Whether the messages that were read last are still what they were, as far as they are there."""
    stands = (before.uid, before.modseq, before.count) == (selected.uidnext - 1, selected.modseq, selected.exists)
    if not before.witnesses or not selected.exists or (stands and selected.modseq is not None):
        return True
    asked = sequence_set(int(uid) for uid in before.witnesses)
    items = FACE_ITEMS + (("X-GM-MSGID",) if session.speaks_gmail else ())
    answers = session.ask("FETCH of UIDs", lambda client: client.fetch_by_uid(asked, items))
    told = {uid: answer for uid, answer in answers.items() if set(items) <= answer.keys()}
    return all(before.witnesses.get(str(uid), face(answer)) == face(answer) for uid, answer in told.items())


def partition(mailbox: str) -> BatchScope:
    """The scope of a gap that is about a whole mailbox."""
    return BatchScope(partition={"mailbox": mailbox})
