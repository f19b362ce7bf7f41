"""One mailbox brought up to date: what changed, what is new, what is gone."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

from connectors.gmail.client import Answer, sequence_set
from connectors.gmail.fields import checksum
from connectors.gmail.ledger import MessageEntry
from connectors.gmail.position import MailboxPosition, Numbers, identity, still_held
from connectors.gmail.reader import Outcome, Reader
from connectors.gmail.rows import GMAIL_STATE_ITEMS, STATE_ITEMS, Box, state
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import BatchScope, Context, Message, Reason, Record, State, UpstreamError, skip

PAGE = 100
"""Messages that are read between two checkpoints."""
LOOK = 5
"""Blocks of the ledger that one look at changes or deletions takes in."""
SPAN = 5_000
"""UIDs that are looked through at once, to begin with."""
CROWDED = 50_000
"""A mailbox with more messages is not looked through in arbitrarily wide spans, since one might hold them all."""
WIDEST = 1 << 20

Checkpoint = Callable[[MailboxPosition], State]


class MailboxWalk:
    """The walk over one selected mailbox; `position` moves on with it."""

    def __init__(
        self,
        context: Context,
        session: Session,
        reader: Reader,
        box: Box,
        selected: Selected,
        position: MailboxPosition,
    ) -> None:
        self._now = context.now
        self._session = session
        self._reader = reader
        self._box = box
        self._selected = selected
        self.position = position

    def messages(self, checkpoint: Checkpoint) -> Iterator[Message]:
        """Everything that is to be said of the mailbox; a checkpoint after each piece of it.

        Raises:
            ProviderError: the server or the connection failed as a whole; the last checkpoint keeps the position.
        """
        kept: dict[str, Any] | None = None
        for step in (self._changes, self._retries, self._news, self._deletions, self._leftovers, self._audit):
            for message in step():
                if message is not None:
                    yield message
                elif (now := self.position.as_json()) != kept:
                    kept = now
                    yield checkpoint(self.position)

    def _changes(self) -> Iterator[Message | None]:
        """Flags and labels of messages that were read before, as far as they changed."""
        position, now = self.position, self._selected.modseq
        if now is None or position.modseq is None or now < position.modseq:
            if position.ledger.size:
                yield from self._compared()
            position.modseq = now
            return
        target = position.delta or {"to": now, "uid": 0}
        if now != position.modseq:
            for first, last in self._looks():
                end = int(position.ledger.span(first, last).partition(":")[2])
                if end > target["uid"]:
                    yield from self._changed(first, last, position.modseq)
                    target = position.delta = {"to": target["to"], "uid": end}
                    yield None
        position.modseq, position.delta = target["to"], None
        yield None

    def _compared(self) -> Iterator[Message | None]:
        """Without CONDSTORE: all flags are read, and those that differ from their checksum are told."""
        for first, last in self._looks():
            changed: list[MessageEntry] = []
            for entry, answer in self._states(first, last, None):
                row = state(self._box, answer)
                if checksum(row) != entry.mark:
                    changed.append(entry._replace(mark=checksum(row)))
                    yield self._update(entry, answer)
            self.position.ledger.add(changed)
            yield None

    def _changed(self, first: int, last: int, since: int) -> Iterator[Message]:
        for entry, answer in self._states(first, last, since):
            yield self._update(entry, answer)

    def _states(self, first: int, last: int, since: int | None) -> Iterator[tuple[MessageEntry, Answer]]:
        items = STATE_ITEMS + (GMAIL_STATE_ITEMS if self._box.gmail else ())
        span = self.position.ledger.span(first, last)
        answers = self._session.ask("FETCH of flags", lambda client: client.fetch_by_uid(span, items, since))
        for entry in self.position.ledger.entries(first, last):
            answer = answers.get(entry.uid)
            if answer is not None and set(items) <= answer.keys():
                yield entry, answer

    def _update(self, entry: MessageEntry, answer: Answer) -> Record:
        key = self._box.key(entry.uid, entry.gm)
        data = {"id": key, **state(self._box, answer)}
        return Record(stream="messages", key=key, data=data, emitted_at=self._now(), partial=True)

    def _retries(self) -> Iterator[Message | None]:
        """Messages that could not be read before."""
        waiting = list(self.position.unread)
        for at in range(0, len(waiting), PAGE):
            page = waiting[at : at + PAGE]
            outcome = yield from self._reader.page(self._box, page)
            self._keep(outcome)
            self.position.unread = sorted(set(self.position.unread) - set(page) | set(outcome.failed))
            yield None

    def _news(self) -> Iterator[Message | None]:
        """Messages that came since the position, in ascending order of their UIDs."""
        known = self._known_before()
        for uids, end in self._spans():
            for at in range(0, len(uids), PAGE):
                page = uids[at : at + PAGE]
                outcome = yield from self._reader.page(self._box, page, known=known)
                self._keep(outcome)
                self.position.unread = sorted({*self.position.unread, *outcome.failed})
                self.position.uid = page[-1]
                yield None
                if outcome.is_hopeless:
                    raise UpstreamError("the server refuses one message after the other")
            self.position.uid = end
        yield None

    def _spans(self) -> Iterator[tuple[list[int], int]]:
        """The UIDs that exist beyond the position, span by span, each with the UID that its span ends with."""
        span, top = SPAN, self._selected.uidnext - 1
        widest = top if self._selected.exists <= CROWDED else WIDEST
        while self.position.uid < top and self._selected.exists:
            first, last = self.position.uid + 1, min(self.position.uid + span, top)
            asked = f"{first}:{last}"
            found = self._session.ask("FETCH of UIDs", lambda client, asked=asked: client.existing(asked))  # type: ignore[misc]
            yield [uid for uid in found if first <= uid <= last], last
            span = SPAN if len(found) > SPAN // 5 else min(span * 4, max(widest, SPAN))

    def _deletions(self) -> Iterator[Message | None]:
        """Messages that are gone; their number tells whether there are any."""
        position = self.position
        if position.count == self._selected.exists:
            return
        for first in range(position.ledger.size - 1, -1, -LOOK):
            yield from self._gone(max(0, first - LOOK + 1), first + 1)
        there: set[int] = set()
        for at in range(0, len(position.unread), PAGE):
            asked = sequence_set(position.unread[at : at + PAGE])
            there |= set(self._session.ask("FETCH of UIDs", lambda client, asked=asked: client.existing(asked)))  # type: ignore[misc]
        position.unread = [uid for uid in position.unread if uid in there]
        yield None

    def _gone(self, first: int, last: int) -> Iterator[Message | None]:
        span = self.position.ledger.span(first, last)
        there = set(self._session.ask("FETCH of UIDs", lambda client: client.existing(span)))
        missing = [entry for entry in self.position.ledger.entries(first, last) if entry.uid not in there]
        for entry in missing:
            yield from self._reader.gone(self._box, entry)
        if missing:
            self.position.ledger.drop(entry.uid for entry in missing)
            yield None

    def _leftovers(self) -> Iterator[Message | None]:
        """Deletes messages that earlier walks had read and this one, now at its end, has not found again."""
        while self.position.earlier:
            earlier = self.position.earlier[0]
            held = still_held(self._box, self.position, earlier)
            before = Box(self._box.name, earlier.uidvalidity, self._box.gmail)
            while earlier.ledger.size:
                for entry in earlier.ledger.entries(0, 1):
                    if identity(self._box, entry) not in held:
                        yield from self._reader.gone(before, entry)
                earlier.ledger.drop_block()
                yield None
            del self.position.earlier[0]
            yield None

    def _audit(self) -> Iterator[Message | None]:
        """A server that counts more messages than it shows has kept some back."""
        if self.position.count >= self._selected.exists:
            return
        again = self._session.select(self._box.name)
        if again.uidnext == self._selected.uidnext and self.position.count < again.exists:
            missing = again.exists - self.position.count
            for stream in ("messages", *self._reader.details):
                yield skip(
                    stream,
                    Reason.SOURCE_PARTITION_FAILED,
                    partition(self._box.name),
                    f"the server counts {again.exists} messages and shows {missing} fewer",
                )

    def _known_before(self) -> Container[int]:
        """Gmail ids that earlier walks read with the same details: only their UIDs are news."""
        wanted = set(self._reader.details)
        ledgers = [one.ledger for one in self.position.earlier if wanted <= set(one.details)]
        if not self._box.gmail:
            return ()
        return Numbers(entry.gm for ledger in ledgers for entry in ledger.entries())

    def _keep(self, outcome: Outcome) -> None:
        marked = self._selected.modseq is None
        self.position.ledger.add(message.entry(marked=marked) for message in outcome.read)

    def _looks(self) -> Iterator[tuple[int, int]]:
        return ((at, min(at + LOOK, self.position.ledger.size)) for at in range(0, self.position.ledger.size, LOOK))


def vanished(reader: Reader, name: str, position: MailboxPosition) -> Iterator[Message]:
    """The end of a mailbox that is no longer there, in all its lives."""
    for uidvalidity, ledger in [
        (position.uidvalidity, position.ledger),
        *((e.uidvalidity, e.ledger) for e in position.earlier),
    ]:
        box = Box(name, uidvalidity, gmail=False)
        for entry in ledger.entries():
            yield from reader.gone(box, entry)


def beginning(before: MailboxPosition | None, selected: Selected, details: Sequence[str]) -> MailboxPosition:
    """The position to go on from: the saved one, unless the mailbox has a new life or more is wanted than was read."""
    if before is None:
        return MailboxPosition(selected.uidvalidity, list(details))
    if before.uidvalidity != selected.uidvalidity or not before.covers(details):
        return before.anew(selected.uidvalidity, details)
    before.details = list(details)
    return before


def partition(mailbox: str) -> BatchScope:
    """The scope of a gap that is about a whole mailbox."""
    return BatchScope(partition={"mailbox": mailbox})
