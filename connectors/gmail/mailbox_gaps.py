"""Gaps about whole mailboxes: closed when the server shows as many messages as it counts, and all of them were read."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import groupby

from connectors.gmail.errors import HungUpError, RefusedError, is_unknown_mailbox
from connectors.gmail.ledger import MessageEntry
from connectors.gmail.listing import whole
from connectors.gmail.position import MailboxPosition
from connectors.gmail.reader import Reader
from connectors.gmail.rows import Box, Mail, attachment_key
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import (
    BatchScope,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    ProviderError,
    Record,
    ShapeError,
    Start,
    UpstreamError,
    closed_as_absent,
    still_missing,
)


class MailboxGaps:
    """The known gaps about mailboxes; `listed` are all names that the server tells."""

    def __init__(self, start: Start, session: Session, reader: Reader, listed: Sequence[str]) -> None:
        self._session = session
        self._reader = reader
        self._listed = listed
        named = [(name, known) for known in start.detail_gaps if (name := _mailbox(known)) is not None]
        self._by_name = {
            name: [known for _, known in group]
            for name, group in groupby(sorted(named, key=lambda one: one[0]), key=lambda one: one[0])
        }

    @property
    def names(self) -> list[str]:
        """The mailboxes that gaps are about, under the names that they had."""
        return list(self._by_name)

    def recovered(self, name: str, now: str, position: MailboxPosition | None) -> Iterator[Message]:
        """Settle the gaps about a mailbox, whose name is now `now`, without a walk.

        Raises:
            ProviderError: the server or the connection failed as a whole.
        """
        try:
            selected = self._session.select(now)
            is_whole = self._is_whole(selected, position)
        except (RefusedError, HungUpError, ShapeError) as error:
            yield from self._refused(name, now, error)
            return
        if is_whole and position is not None:
            yield from self.closed(name, selected, position)
            return
        why = UpstreamError("the messages that the server counts were not all read yet")
        yield from (still_missing(why, known, name) for known in self._by_name[name])

    def closed(self, name: str, selected: Selected, position: MailboxPosition) -> Iterator[Message]:
        """Close the gaps about a mailbox that was read whole, each by a record that the server gives of it now."""
        box = Box(selected.name, selected.uidvalidity, self._session.speaks_gmail)
        for known in self._by_name.pop(name, []):
            entry = next((one for one in position.ledger.entries() if _is_proof(one, known.stream)), None)
            if entry is None:
                yield closed_as_absent(known, name)  # the mailbox holds nothing of this stream
            else:
                yield from self._proved(box, entry, known, name)

    def _is_whole(self, selected: Selected, position: MailboxPosition | None) -> bool:
        if position is None or position.earlier or position.uidvalidity != selected.uidvalidity:
            return False
        if position.count != selected.exists:
            return False
        shown = whole(self._session, selected)
        return shown is not None and all(entry.uid in shown for entry in position.ledger.entries())

    def _proved(self, box: Box, entry: MessageEntry, known: GapToClose, name: str) -> Iterator[Message]:
        key = box.key(entry.uid, entry.gm)
        proof = attachment_key(key, 0) if known.stream == "attachments" else key
        if (yield from self._reread(box, entry.uid, known.stream, proof)):
            yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=proof)
        else:
            yield still_missing(UpstreamError("a message of the mailbox cannot be read again"), known, name)

    def _reread(self, box: Box, uid: int, stream: str, proof: str) -> Generator[Message, None, bool]:
        def chosen(_message: Mail, which: str, key: str) -> bool:
            return which == stream and key == proof

        is_proved = False
        for message in self._reader.page(box, [uid], chosen=chosen):
            if isinstance(message, DetailGap):
                continue
            is_proved |= isinstance(message, Record) and (message.stream, str(message.key)) == (stream, proof)
            yield message
        return is_proved

    def _refused(self, name: str, now: str, error: ProviderError) -> Iterator[Message]:
        is_gone = now not in self._listed and is_unknown_mailbox(error)
        for known in self._by_name[name]:
            yield closed_as_absent(known, name) if is_gone else still_missing(error, known, name)


def _mailbox(known: GapToClose) -> str | None:
    name = known.scope.partition.get("mailbox") if isinstance(known.scope, BatchScope) else None
    return name if isinstance(name, str) else None


def _is_proof(entry: MessageEntry, stream: str) -> bool:
    return stream != "attachments" or entry.attachments > 0
