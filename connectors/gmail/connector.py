"""Recover what is missing, list the labels, then bring every mailbox up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from connectors.gmail.errors import HungUpError, RefusedError
from connectors.gmail.mailboxes import HIDDEN, Mailbox, collect_labels, label, listed, to_walk
from connectors.gmail.position import MailboxPosition
from connectors.gmail.reader import DETAILS, Reader
from connectors.gmail.recover import Recovery
from connectors.gmail.rows import Box
from connectors.gmail.session import Selected, Session
from connectors.gmail.walk import MailboxWalk, beginning, partition, vanished
from pdpp_worker.connector import (
    WHOLE_STREAM,
    BatchScope,
    Context,
    DetailGapRecovered,
    GapToClose,
    Message,
    NeedsOwner,
    Progress,
    ProviderError,
    Reason,
    Record,
    ShapeError,
    Start,
    State,
    closed_as_absent,
    narrowed_streams,
    refuse,
    skip,
    skip_for,
)

TREE = ("messages", *DETAILS)
EVERYTHING = "\\All"
"""The name under which the cursor keeps Gmail's one mailbox, whose own name changes with the owner's language."""


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Everything that START asks for and the server gives; what it does not give is said."""
    refused = _not_supported(start)
    yield from refuse(refused)
    kept = [one for one in start.scope.streams if one.name not in refused]
    start = start.model_copy(update={"scope": start.scope.model_copy(update={"streams": kept})})
    account = _Account(start, context, [one.name for one in kept])
    if account.unfinished:
        yield from account.collect()


class _Account:
    """One slice's work; `unfinished` are the streams that suffer if it stops now."""

    def __init__(self, start: Start, context: Context, wanted: list[str]) -> None:
        self._start = start
        self._context = context
        self._session = Session(context)
        self._reader = Reader(start, context, self._session)
        self._positions: dict[str, Any] = dict((start.cursor("messages") or {}).get("mailboxes", {}))
        self.unfinished = wanted

    def collect(self) -> Iterator[Message]:
        """Work until the end, or until the server says stop."""
        with closing(self._session):
            try:
                yield from self._work()
            except NeedsOwner as error:
                yield from self._stopped(error)
            except ProviderError as error:
                if not self._start.recovery_only:
                    yield from self._stopped(error)

    def _work(self) -> Iterator[Message]:
        self._session.open()
        mailboxes = listed(self._session)
        names = to_walk(mailboxes, gmail=self._session.speaks_gmail)
        yield from Recovery(self._start, self._session, self._reader, names).messages()
        if self._start.recovery_only:
            return
        if "labels" in self.unfinished:
            yield from collect_labels(self._start, self._context, mailboxes)
            self.unfinished.remove("labels")
        if "messages" in self.unfinished:
            yield from self._walk(mailboxes, names)

    def _walk(self, mailboxes: Sequence[Mailbox], names: Sequence[str]) -> Iterator[Message]:
        if not names:
            for stream in self._tree():
                yield skip(stream, Reason.SOURCE_PARTITION_FAILED, WHOLE_STREAM, HIDDEN)
            return
        yield from self._vanished(mailboxes, names)
        for name in names:
            try:
                yield from self._mailbox(self._session.select(name), alone=len(names) == 1)
            except (RefusedError, HungUpError, ShapeError) as error:
                if isinstance(error, HungUpError) and len(names) == 1:
                    raise
                for stream in self._tree():
                    yield skip(stream, Reason.SOURCE_PARTITION_FAILED, partition(name), str(error))
                continue
            yield from self._resolved(next(one for one in mailboxes if one.name == name))

    def _mailbox(self, selected: Selected, *, alone: bool) -> Iterator[Message]:
        saved = self._positions.get(self._slot(selected.name))
        position = beginning(MailboxPosition.from_json(saved) if saved else None, selected, self._reader.details)
        box = Box(selected.name, selected.uidvalidity, self._session.speaks_gmail)
        walk = MailboxWalk(self._context, self._session, self._reader, box, selected, position)
        for message in walk.messages(lambda now: self._checkpoint(selected.name, now)):
            yield message
            if alone and isinstance(message, State):
                total = max(selected.exists, position.count)
                yield Progress(stream="messages", count=position.count, total=total)

    def _vanished(self, mailboxes: Sequence[Mailbox], names: Sequence[str]) -> Iterator[Message]:
        """Mailboxes that were walked before and are no longer there, with all that they held."""
        for name in self._positions.keys() - {self._slot(one) for one in names}:
            yield from vanished(self._reader, name, MailboxPosition.from_json(self._positions.pop(name)))
            yield self._cursor()
        there = {one.name for one in mailboxes}
        for known, mailbox in self._batches():
            if mailbox not in there:
                yield closed_as_absent(known, mailbox)

    def _resolved(self, mailbox: Mailbox) -> Iterator[Message]:
        """The mailbox was walked to its end; its label is the proof that the server gave it.

        Only of messages a gap may be closed by a record of another stream.
        """
        resolved = [known for known, name in self._batches() if (known.stream, name) == ("messages", mailbox.name)]
        if resolved and self._start.wants("labels"):
            now = self._context.now()
            yield Record(stream="labels", key=mailbox.name, data=label(mailbox), emitted_at=now)
            for known in resolved:
                yield DetailGapRecovered(gap_id=known.gap_id, stream="labels", record_key=mailbox.name)

    def _batches(self) -> Iterator[tuple[GapToClose, str]]:
        """Known gaps about whole mailboxes."""
        for known in self._start.detail_gaps:
            if isinstance(known.scope, BatchScope) and isinstance(name := known.scope.partition.get("mailbox"), str):
                yield known, name

    def _checkpoint(self, name: str, position: MailboxPosition) -> State:
        self._positions[self._slot(name)] = position.as_json()
        return self._cursor()

    def _cursor(self) -> State:
        return State(stream="messages", cursor={"mailboxes": dict(self._positions)})

    def _slot(self, name: str) -> str:
        return EVERYTHING if self._session.speaks_gmail else name

    def _tree(self) -> list[str]:
        return [stream for stream in TREE if stream in self.unfinished]

    def _stopped(self, error: ProviderError) -> Iterator[Message]:
        return (skip_for(error, stream) for stream in self.unfinished)


def _not_supported(start: Start) -> dict[str, str]:
    """Streams that are asked for in a way that cannot be honoured, and why."""
    narrowed = narrowed_streams(start)
    if start.wants("messages") and "messages" not in narrowed:
        return narrowed
    alone = {one: "It is collected with its messages; ask for both." for one in DETAILS if start.wants(one)}
    return {**alone, **narrowed}
