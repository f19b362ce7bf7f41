"""Recover what is missing, list the labels, then bring every mailbox up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from connectors.gmail.errors import HungUpError, RefusedError, ShapeError
from connectors.gmail.mailboxes import HIDDEN, Mailbox, collect_labels, label, listed, to_walk
from connectors.gmail.place import Place
from connectors.gmail.reader import DETAILS, Reader
from connectors.gmail.recover import Recovery
from connectors.gmail.rows import Box
from connectors.gmail.session import Selected, Session
from connectors.gmail.walk import Walk, beginning, partition, vanished
from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    BatchScope,
    Challenged,
    Context,
    DetailGapRecovered,
    GapToClose,
    Message,
    Progress,
    ProviderError,
    Reason,
    Record,
    Start,
    State,
    Throttled,
    skip,
)

TREE = ("messages", *DETAILS)
EVERYTHING = "\\All"
"""The name under which the cursor keeps Gmail's one mailbox, whose own name changes with the owner's language."""


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Everything that START asks for and the server gives; what it does not give is said."""
    refused = _not_supported(start)
    for stream, why in refused.items():
        yield skip(stream, Reason.SCOPE_NOT_SUPPORTED, WHOLE_STREAM, why)
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
        self._places: dict[str, Any] = dict((start.cursor("messages") or {}).get("mailboxes", {}))
        self.unfinished = wanted

    def collect(self) -> Iterator[Message]:
        """Work until the end, or until the server says stop."""
        with closing(self._session):
            try:
                yield from self._work()
            except (AuthExpired, Challenged) as error:
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
            yield from self._mended(next(one for one in mailboxes if one.name == name))

    def _mailbox(self, selected: Selected, *, alone: bool) -> Iterator[Message]:
        saved = self._places.get(self._slot(selected.name))
        place = beginning(Place.from_json(saved) if saved else None, selected, self._reader.details)
        box = Box(selected.name, selected.uidvalidity, self._session.speaks_gmail)
        walk = Walk(self._context, self._session, self._reader, box, selected, place)
        for message in walk.messages(lambda now: self._checkpoint(selected.name, now)):
            yield message
            if alone and isinstance(message, State):
                total = max(selected.exists, place.count)
                yield Progress(stream="messages", count=place.count, total=total)

    def _vanished(self, mailboxes: Sequence[Mailbox], names: Sequence[str]) -> Iterator[Message]:
        """Mailboxes that were walked before and are no longer there, with all that they held."""
        for name in self._places.keys() - {self._slot(one) for one in names}:
            yield from vanished(self._reader, name, Place.from_json(self._places.pop(name)))
            yield self._cursor()
        there = {one.name for one in mailboxes}
        for known, mailbox in self._batches():
            if mailbox not in there:
                yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=mailbox, absent=True)

    def _mended(self, mailbox: Mailbox) -> Iterator[Message]:
        """The mailbox was walked to its end; its label is the proof that the server gave it.

        Only of messages a gap may be closed by a record of another stream.
        """
        mended = [known for known, name in self._batches() if (known.stream, name) == ("messages", mailbox.name)]
        if mended and self._start.wants("labels"):
            now = self._context.now()
            yield Record(stream="labels", key=mailbox.name, data=label(mailbox), emitted_at=now)
            for known in mended:
                yield DetailGapRecovered(gap_id=known.gap_id, stream="labels", record_key=mailbox.name)

    def _batches(self) -> Iterator[tuple[GapToClose, str]]:
        """Known gaps about whole mailboxes."""
        for known in self._start.detail_gaps:
            if isinstance(known.scope, BatchScope) and isinstance(name := known.scope.partition.get("mailbox"), str):
                yield known, name

    def _checkpoint(self, name: str, place: Place) -> State:
        self._places[self._slot(name)] = place.as_json()
        return self._cursor()

    def _cursor(self) -> State:
        return State(stream="messages", cursor={"mailboxes": dict(self._places)})

    def _slot(self, name: str) -> str:
        return EVERYTHING if self._session.speaks_gmail else name

    def _tree(self) -> list[str]:
        return [stream for stream in TREE if stream in self.unfinished]

    def _stopped(self, error: ProviderError) -> Iterator[Message]:
        reason = next(one for one in Reason if one.value == error.reason)
        due = error.retry_after if isinstance(error, Throttled) else None
        for stream in self.unfinished:
            yield skip(stream, reason, WHOLE_STREAM, str(error), retry_after=due)


def _not_supported(start: Start) -> dict[str, str]:
    """Streams that are asked for in a way that cannot be honoured, and why."""
    narrowed = {
        scope.name: "This stream is collected whole; ask for it without resources, time range or fields."
        for scope in start.scope.streams
        if (scope.resources, scope.time_range, scope.fields) != (None, None, None)
    }
    if start.wants("messages") and "messages" not in narrowed:
        return narrowed
    alone = {one: "It is collected with its messages; ask for both." for one in DETAILS if start.wants(one)}
    return {**alone, **narrowed}
