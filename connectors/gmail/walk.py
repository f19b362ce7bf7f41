"""One mailbox brought up to date: what changed, what is new, what is gone."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from itertools import islice
from typing import Any

from connectors.gmail.beginning import partition
from connectors.gmail.client import Answer
from connectors.gmail.departures import depart, is_unsaid, say
from connectors.gmail.fields import checksum
from connectors.gmail.ledger import Ledger, MessageEntry
from connectors.gmail.listing import relisted, spans
from connectors.gmail.outcome import Outcome
from connectors.gmail.position import FORM, MailboxPosition, Numbers, identity, still_held
from connectors.gmail.reader import Reader
from connectors.gmail.rows import GMAIL_STATE_ITEMS, STATE_ITEMS, Box, state
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import Context, Message, Reason, Record, State, UpstreamError, skip

PAGE = 100
"""Messages that are read between two checkpoints."""
LOOK = 5
"""Blocks of the ledger that one look at changes or deletions takes in."""
LAST = (1 << 32) - 1
"""The highest UID that there can be."""
ROUNDS = 3
"""Times that a mailbox which changes meanwhile is compared in one walk."""

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
        run: str,
    ) -> None:
        self._now = context.now
        self._session = session
        self._reader = reader
        self._box = box
        self._selected = selected
        self._run = run
        self._is_checked = False
        self.position = position
        self._known = self._known_before()
        self._before, self._came = position.uid, array("Q")

    def messages(self, checkpoint: Checkpoint) -> Iterator[Message]:
        """Everything that is to be said of the mailbox; a checkpoint after each piece of it.

        Raises:
            ProviderError: the server or the connection failed as a whole; the last checkpoint keeps the position.
        """
        kept: dict[str, Any] | None = None
        before = (self._changes, self._retold, self._retries, self._larger, self._relook)
        for step in (*before, self._news, self._settle, self._leftovers, self._absent):
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
            position.since = position.modseq = now
            return
        since = position.modseq if position.since is None else position.since
        target = position.delta or {"to": now, "uid": 0}
        is_told = position.delta is not None or now == position.modseq
        for first, last in self._looks() if now != since else ():
            end = int(position.ledger.span(first, last).partition(":")[2])
            if end > target["uid"]:
                is_told |= yield from self._changed(first, last, since)
                target = position.delta = {"to": target["to"], "uid": end}
                yield None
        position.delta = None
        if not is_told and self._is_unmoved():
            yield from self._compared()
        position.since, position.modseq = position.modseq, target["to"]
        yield None

    def _is_unmoved(self) -> bool:
        """Whether nothing came and nothing went, so that a higher HIGHESTMODSEQ can only be about flags or labels."""
        position, now = self.position, self._selected
        return (position.uid, position.count) == (now.uidnext - 1, now.exists)

    def _compared(self) -> Iterator[Message | None]:
        """Without the server's word of what changed: all flags are read, and those that differ from their checksum."""
        for first, last in self._looks():
            changed: list[MessageEntry] = []
            for entry, answer in self._states(first, last, None):
                row = state(self._box, answer)
                if checksum(row) != entry.mark:
                    changed.append(entry._replace(mark=checksum(row)))
                    yield self._update(entry, answer)
            self.position.ledger.add(changed)
            yield None

    def _changed(self, first: int, last: int, since: int) -> Generator[Message, None, bool]:
        """Tell what changed; returns whether anything did."""
        is_told = False
        for entry, answer in self._states(first, last, since):
            is_told = True
            yield self._update(entry, answer)
        return is_told

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
        return self._read(self.position.unread)

    def _larger(self) -> Iterator[Message | None]:
        """Messages with something beyond the cap, when the cap is higher now."""
        if self._reader.cap > self.position.cap:
            yield from self._read(self.position.large)
        self.position.cap = self._reader.cap

    def _retold(self) -> Iterator[Message | None]:
        """Messages whose records were written by an older version: what is told of them now is laid over."""
        position = self.position
        while position.form < FORM:
            page = [entry.uid for entry in islice(position.ledger.between(position.retold + 1, LAST), PAGE)]
            if page:
                yield from self._reader.page(self._box, page, known=_Everything())
            position.form, position.retold = (position.form, page[-1]) if page else (FORM, 0)
            yield None

    def _relook(self) -> Iterator[Message | None]:
        """The UIDs that the run before listed for the first time: what it was not shown is asked for again."""
        position = self.position
        if position.run == self._run:
            return
        exists, ledger = self._selected.exists, position.ledger
        for uids, end in relisted(self._session, exists, position.looked, position.uid, ledger):
            yield from self._read(self._unheard(uids, end))
        position.looked, position.run = position.uid, self._run

    def _news(self) -> Iterator[Message | None]:
        """Messages that came since the position, in ascending order of their UIDs."""
        top = self._selected.uidnext - 1
        for uids, end in spans(self._session, self._selected.exists, self.position.uid, top):
            for at in range(0, len(uids), PAGE):
                page, following = uids[at : at + PAGE], uids[at + PAGE : at + 2 * PAGE]
                outcome = yield from self._page(page, following)
                self._came.extend(message.gm for message in outcome.read)
                self.position.uid = page[-1]
                yield None
                if outcome.is_hopeless:
                    raise UpstreamError("the server refuses one message after the other")
            self.position.uid = end
        yield None

    def _settle(self) -> Iterator[Message | None]:
        """Deletions, and what was kept back: where numbers differ all UIDs are compared, until they agree."""
        shown: int | None = None
        self.position.doubt |= self._box.gmail and self._has_moved()
        for _ in range(ROUNDS):
            if not self._is_in_doubt():
                return
            before, self._selected = self._selected, self._opened_again()
            if shown is not None and (before.exists, before.uidnext) == (self._selected.exists, self._selected.uidnext):
                break
            yield from self._news()
            shown = yield from self._compare()
        if self.position.doubt and shown is not None:
            for stream in ("messages", *self._reader.details):
                why = (
                    f"the server counts {self._selected.exists} messages and shows {_difference(self._selected, shown)}"
                )
                yield skip(stream, Reason.SOURCE_PARTITION_FAILED, partition(self._box.name), why)

    def _has_moved(self) -> bool:
        """Whether a message that came is held under an older UID, which cannot be there any more; counts may agree."""
        came = Numbers(self._came)
        return len(came) > 0 and any(one.gm in came for one in self.position.ledger.between(1, self._before))

    def _is_in_doubt(self) -> bool:
        position = self.position
        unsaid = is_unsaid(position, ("messages", *self._reader.details), self._run)
        is_checked = self._is_checked and not position.doubt
        return position.doubt or position.count != self._selected.exists or (unsaid and not is_checked)

    def _opened_again(self) -> Selected:
        again = self._session.select(self._box.name)
        if again.uidvalidity != self._selected.uidvalidity:
            raise UpstreamError(f"the mailbox {again.name!r} was made anew while it was read")
        return again

    def _compare(self) -> Generator[Message | None, None, int]:
        """Read what is there and was not read; note what is not there any more if the numbers then agree.

        Returns the number of messages that the server shows.
        """
        position, missing, waiting = self.position, Ledger(), set(self.position.unread)
        there: set[int] = set()
        top, after = max(self._selected.uidnext - 1, position.uid), 0
        for uids, end in spans(self._session, self._selected.exists, 0, top):
            found = set(uids)
            yield from self._read(self._unheard(uids, end))
            missing.add(entry for entry in position.ledger.between(after + 1, end) if entry.uid not in found)
            there |= found & waiting
            after = end
        unread = [uid for uid in position.unread if uid in there or uid not in waiting]
        shown = len(position.ledger) - len(missing) + len(unread)
        position.doubt = shown != self._selected.exists
        if not position.doubt:
            position.unread = unread
            position.ledger.drop([entry.uid for entry in missing.entries()])
            depart(position, position.uidvalidity, missing)
        self._is_checked = True
        yield None
        return shown

    def _leftovers(self) -> Iterator[Message | None]:
        """Messages that earlier walks had read and this one, whole and at its end, has not found again."""
        position = self.position
        while position.earlier and not position.doubt and not position.unread:
            earlier, lost = position.earlier.pop(0), Ledger()
            held = still_held(self._box, position, earlier.uidvalidity)
            lost.add(entry for entry in earlier.ledger.entries() if identity(self._box, entry) not in held)
            depart(position, earlier.uidvalidity, lost)
            yield None

    def _absent(self) -> Iterator[Message | None]:
        """Say what this whole walk, and those before it, have not found."""
        if not self.position.doubt:
            yield from say(self._reader, self._box, self.position, self._run)

    def _read(self, uids: Sequence[int]) -> Iterator[Message | None]:
        """Read messages at or below the position."""
        for at in range(0, len(uids), PAGE):
            yield from self._page(uids[at : at + PAGE])
            yield None

    def _page(self, page: Sequence[int], following: Sequence[int] = ()) -> Generator[Message, None, Outcome]:
        outcome = yield from self._reader.page(self._box, page, known=self._known, following=following)
        marked = self._selected.modseq is None
        self.position.ledger.add(message.entry(marked=marked) for message in outcome.read)
        self.position.unread = sorted((set(self.position.unread) - set(page)) | set(outcome.failed))
        self.position.large = sorted((set(self.position.large) - set(page)) | set(outcome.large))
        for message in outcome.read:
            self.position.witness(message.uid, message.face)
        return outcome

    def _unheard(self, uids: Sequence[int], end: int) -> list[int]:
        """The UIDs up to `end` that were never read."""
        held = self.position.ledger.uids(uids[0], end) if uids else set()
        return sorted(set(uids) - held - set(self.position.unread))

    def _known_before(self) -> Container[int]:
        """Gmail ids that earlier walks read with the same details: only their UIDs are news."""
        wanted = set(self._reader.details)
        ledgers = [one.ledger for one in self.position.earlier if wanted <= set(one.details)]
        if not self._box.gmail:
            return ()
        return Numbers(entry.gm for ledger in ledgers for entry in ledger.entries())

    def _looks(self) -> Iterator[tuple[int, int]]:
        return ((at, min(at + LOOK, self.position.ledger.size)) for at in range(0, self.position.ledger.size, LOOK))


class _Everything(Container[int]):
    """Every id of Gmail's, and none."""

    def __contains__(self, _: object) -> bool:
        return True


def _difference(selected: Selected, shown: int) -> str:
    few = selected.exists - shown
    return f"{few} fewer" if few > 0 else f"{-few} more"
