"""Tells a mailbox in which nothing happened since it was read: it need not be opened."""

from __future__ import annotations

from datetime import datetime

from connectors.gmail.position import FORM, MailboxPosition
from connectors.gmail.reader import Reader
from connectors.gmail.session import Selected

LONGEST_CLOSED_S = 24 * 3600
"""A server may learn of what happened in a mailbox only when it opens it, so each is opened this often."""


def is_unchanged(position: MailboxPosition, told: Selected, reader: Reader, now: datetime) -> bool:
    """Whether the server tells of a mailbox exactly what was read, and a walk would have nothing to ask or to say.

    Only HIGHESTMODSEQ tells of changed flags, so a mailbox without it is walked; so is one that was opened a day ago.
    """
    # A moment in the future is a clock that was wrong.
    if not 0 <= now.timestamp() - position.opened < LONGEST_CLOSED_S:
        return False
    stands = (position.uidvalidity, position.uid, position.count, position.modseq)
    stand_now = (told.uidvalidity, told.uidnext - 1, told.exists, told.modseq)
    return told.modseq is not None and stands == stand_now and _is_settled(position, reader)


def _is_settled(position: MailboxPosition, reader: Reader) -> bool:
    """Whether the walk before left nothing to do: nothing to look at once more, to tell anew or to say again."""
    looked_twice = position.looked == position.uid and position.since in (None, position.modseq)
    is_over = position.delta is None and not (position.doubt or position.unread or position.earlier or position.gone)
    as_wanted = position.details == list(reader.details) and position.cap == reader.cap and position.form == FORM
    return looked_twice and is_over and as_wanted
