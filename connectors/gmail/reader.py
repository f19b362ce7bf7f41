"""Messages read by UID, with their text and attachments; every one of them ends as records or as a gap."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Protocol

from connectors.gmail.asking import Asks, Found, Questions
from connectors.gmail.bodies import Bodies, Text, body_row
from connectors.gmail.client import Answer
from connectors.gmail.download import Downloads, TooLargeError
from connectors.gmail.errors import OF_ONE, SilentError
from connectors.gmail.files import Files, Stored
from connectors.gmail.ledger import MessageEntry
from connectors.gmail.outcome import Chosen, Outcome, everything
from connectors.gmail.raw import ITEMS, SMALL, Raws
from connectors.gmail.rows import (
    TOO_LARGE,
    Box,
    Mail,
    attachment,
    attachment_key,
    hydrated,
    mail,
    metadata_items,
)
from connectors.gmail.structure import Part
from pdpp_worker.connector import (
    Context,
    DetailGap,
    Message,
    ProviderError,
    Record,
    ShapeError,
    Start,
    StorageFull,
    detail_coverage,
    gap_for,
)

DETAILS = ("message_bodies", "attachments")
AS_THEY_STAND = "FETCH of messages as they stand"


class OtherSource(Protocol):
    """The files that the same connection reads."""

    def met(self, message: Mail, raw: bytes | None, streams: Sequence[str]) -> Iterator[Record]:
        """Note a message; takes back the records that it had under another key."""
        ...

    def holds(self, key: str) -> bool:
        """Whether a file holds the message."""
        ...


class Reader:
    """Reads messages of the selected mailbox."""

    def __init__(self, start: Start, context: Context, session: Asks, overlap: OtherSource | None = None) -> None:
        self._overlap = overlap
        self._questions = Questions(session)
        self._now = context.now
        self._details = [stream for stream in DETAILS if start.wants(stream)]
        self._cap = int(context.settings["max_file_bytes"])
        self._large: set[int] = set()
        files = Files(context.stored)
        self._downloads = Downloads(self._questions.ask, files, self._cap)
        is_kept = "message_bodies" in self._details
        limit = int(context.settings["max_source_bytes"]) if is_kept else 0
        self._raws = Raws(files, self._downloads, limit, self._cap if "attachments" in self._details else 0)
        self._bodies = Bodies(self._downloads, whole=is_kept)

    @property
    def cap(self) -> int:
        """The largest text or attachment that is fetched, bytes."""
        return self._cap

    @property
    def details(self) -> list[str]:
        """The detail streams that are read."""
        return self._details

    def page(
        self,
        box: Box,
        uids: Sequence[int],
        *,
        known: Container[int] = (),
        chosen: Chosen = everything,
        following: Sequence[int] = (),
    ) -> Generator[Message, None, Outcome]:
        """Read messages; of those whose Gmail id is `known` only the metadata, and only the details that are `chosen`.

        `following` are the messages of the next page, which are asked for while this one is worked through.

        Raises:
            ProviderError: the server or the connection failed as a whole.
        """
        outcome = Outcome()
        self._questions.begin()
        self._large = set()
        self._raws.clear()
        found, errors = self._metadata(box, uids)
        for uid, answer in found.items():
            try:
                outcome.read.append(mail(box, uid, answer))
            except ShapeError as error:
                errors[uid] = error
        for uid, failure in errors.items():
            outcome.failed.append(uid)
            yield self._gap(box, uid, 0, "messages", unread_key(box, uid), failure)
        fresh = []
        for message in outcome.read:
            if message.gm in known:
                yield from self._retold(message)
            else:
                fresh.append(message)
        outcome.textless = yield from self._contents(fresh, chosen, lambda: self._expect(box, following))
        outcome.large = sorted(self._large)
        return outcome

    def gone(self, box: Box, entry: MessageEntry, streams: Sequence[str]) -> Iterator[Record]:
        """A message that was not in a whole listing, with all that hung on it, as far as it is of these streams."""
        key = box.key(entry.uid, entry.gm)
        if self._overlap is not None and self._overlap.holds(key):
            return
        keys = {"messages": [key], "message_bodies": [key]}
        keys["attachments"] = [attachment_key(key, index) for index in range(entry.attachments)]
        for stream in streams:
            for one in keys[stream]:
                data = {"id": one}
                yield Record(stream=stream, key=one, data=data, emitted_at=self._now(), op="delete", ground="absent")

    def _retold(self, message: Mail) -> Iterator[Record]:
        """Lay the metadata over the records that are held."""
        yield from self._met(message)
        yield self._record("messages", message.key, message.row, partial=True)
        for index in range(len(message.parts.attachments) if "attachments" in self._details else 0):
            yield self._record("attachments", message.attachment_key(index), attachment(message, index), partial=True)

    def _met(self, message: Mail) -> Iterator[Record]:
        if self._overlap is not None:
            yield from self._overlap.met(message, self._raws.raw(message), ("messages", *self._details))

    def _metadata(self, box: Box, uids: Sequence[int]) -> Found:
        found, errors = self._questions.fetch("FETCH of messages", uids, metadata_items(box))
        for uid in self._questions.existing([uid for uid in uids if uid not in found and uid not in errors]):
            errors[uid] = SilentError("the server has the message and tells nothing of it")
        return found, errors

    def _expect(self, box: Box, uids: Sequence[int]) -> None:
        if uids:
            self._questions.ahead("FETCH of messages", uids, metadata_items(box))

    def _wants_text(self, message: Mail, chosen: Chosen) -> bool:
        return any(chosen(message, stream, message.key) for stream in ("messages", "message_bodies"))

    def _contents(
        self, messages: Sequence[Mail], chosen: Chosen, expect: Callable[[], None]
    ) -> Generator[Message, None, int]:
        """Tell the messages with their details; returns how many have no text. `expect` asks for what comes then."""
        readable = [message for message in messages if self._wants_text(message, chosen)]
        bundles = list(self._raws.bundles(readable))
        lost, done = 0, set[int]()
        for bundle, next_one in zip_longest(bundles, bundles[1:]):
            errors = self._take(bundle)
            if next_one is None:
                expect()
            else:
                self._questions.ahead(AS_THEY_STAND, _uids(next_one), ITEMS)
            told: list[Message] = []
            for message in bundle:
                if (error := errors.get(message.uid)) is not None or self._raws.raw(message) is not None:
                    done.add(message.uid)
                    lost += _drained(self._whole(message, error, chosen), told)
            self._downloads.flush()
            yield from told
        self._raws.clear()
        lost += yield from self._by_parts([message for message in readable if message.uid not in done])
        for message in messages:
            if message.uid not in done:
                yield from self._attachments(message, chosen)
        return lost

    def _take(self, bundle: Sequence[Mail]) -> dict[int, ProviderError]:
        """Fetch messages as they stand; returns why, of those that cannot be read in any other way."""
        answers, errors = self._questions.fetch(AS_THEY_STAND, _uids(bundle), ITEMS)
        self._raws.take(bundle, answers)
        for message in bundle:
            if message.uid not in answers and message.uid not in errors:
                errors[message.uid] = SilentError("the server has the message and does not tell it as it stands")
        return {
            one.uid: errors[one.uid] for one in bundle if one.uid in errors and (one.row["size_bytes"] or 0) <= SMALL
        }

    def _whole(self, message: Mail, error: ProviderError | None, chosen: Chosen) -> Generator[Message, None, int]:
        """Tell a message that is held as it stands, or could not be read so."""
        parts = {} if error else self._raws.parts(message, self._bodies.items(message))
        lost = yield from self._message(message, self._text(message, parts, error))
        yield from self._attachments(message, chosen)
        return lost

    def _by_parts(self, messages: Sequence[Mail]) -> Generator[Message, None, int]:
        """Tell the other messages with their texts; returns how many have none."""
        lost = 0
        for bundle in self._bodies.bundles(messages):
            items = self._bodies.items(bundle[0])
            answers, errors = (
                self._questions.fetch("FETCH of texts", _uids(bundle), items) if len(items) > 1 else ({}, {})
            )
            for message in bundle:
                text = self._text(message, answers.get(message.uid, {}), errors.get(message.uid))
                told: list[Message] = []
                lost += _drained(self._message(message, text), told)
                self._downloads.flush()
                yield from told
        return lost

    def _text(self, message: Mail, answer: Answer, error: ProviderError | None) -> Text | ProviderError:
        if error is not None:
            return error
        try:
            return self._bodies.read(message, answer, self._raws.ask(message))
        except OF_ONE as failure:
            return failure

    def _message(self, message: Mail, text: Text | ProviderError) -> Generator[Message, None, int]:
        """Tell a message and its text; returns 1 where the server did not give the text."""
        yield from self._met(message)
        error = text if isinstance(text, ProviderError) else None
        if isinstance(text, Text):
            self._large |= {message.uid} if text.too_large else set()
            error = kept if isinstance(kept := self._raws.kept(message), StorageFull) else None
            told = {"snippet": text.snippet(), "source": kept.as_json() if isinstance(kept, Stored) else None}
            yield self._record("messages", message.key, {**message.row, **told})
        else:
            yield self._record("messages", message.key, message.row, partial=True)
        stream = "message_bodies" if "message_bodies" in self._details else "messages"
        if isinstance(text, Text) and stream == "message_bodies":
            yield self._record(stream, message.key, body_row(message, text))
        if error is not None:
            yield self._gap(message.box, message.uid, message.gm, stream, message.key, error)
        yield detail_coverage(stream, "messages", message.key, is_read=error is None)
        return error is not None and not isinstance(error, StorageFull)

    def _attachments(self, message: Mail, chosen: Chosen) -> Iterator[Message]:
        for index, part in enumerate(message.parts.attachments):
            key = message.attachment_key(index)
            if "attachments" not in self._details or not chosen(message, "attachments", key):
                continue
            row = attachment(message, index)
            try:
                fetched = self._fetched(message, part)
            except TooLargeError:
                fetched = TOO_LARGE
                self._large.add(message.uid)
            except OF_ONE as error:
                yield self._record("attachments", key, row, partial=True)
                yield self._gap(message.box, message.uid, message.gm, "attachments", key, error)
                yield detail_coverage("attachments", "messages", key, is_read=False)
                continue
            yield self._record("attachments", key, {**row, **fetched})
            yield detail_coverage("attachments", "messages", key, is_read=True)

    def _fetched(self, message: Mail, part: Part) -> dict[str, Any]:
        """The fields of an attachment's content; of a message that is held it is flushed with its bundle."""
        if (held := self._raws.section(message, part)) is not None:
            stored, within = self._downloads.take(message, part, held)
            return {**hydrated(stored), **within}
        stored = self._downloads.fetch(message, part)
        fetched = {**hydrated(stored), **self._downloads.within(stored)}
        self._downloads.flush()
        return fetched

    def _record(self, stream: str, key: str, data: dict[str, object], *, partial: bool = False) -> Record:
        return Record(stream=stream, key=key, data=data, emitted_at=self._now(), partial=partial)

    def _gap(self, box: Box, uid: int, gm: int, stream: str, key: str, error: ProviderError) -> DetailGap:
        parent = "messages" if stream in DETAILS else None
        return gap_for(error, stream, key, parent_stream=parent, detail_locator=box.locator(uid, gm))


def unread_key(box: Box, uid: int) -> str:
    """The name of a message whose id is not known because nothing of it could be read."""
    return Box(box.name, box.uidvalidity, gmail=False).key(uid, 0)


def _uids(messages: Sequence[Mail]) -> list[int]:
    return [message.uid for message in messages]


def _drained(messages: Generator[Message, None, int], into: list[Message]) -> int:
    """Collect what is told before any of it is sent; returns what the generator returned."""
    while True:
        try:
            into.append(next(messages))
        except StopIteration as ended:
            return int(ended.value)
