"""Messages read by UID, with their text and attachments; every one of them ends as records or as a gap."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from connectors.gmail.bodies import Bodies, Text, body_row
from connectors.gmail.client import Answer, Fetches, sequence_set
from connectors.gmail.download import Downloads, TooLargeError
from connectors.gmail.errors import HungUpError, OutageError, RefusedError, SilentError
from connectors.gmail.files import Files
from connectors.gmail.ledger import MessageEntry
from connectors.gmail.raw import ITEMS, Raws
from connectors.gmail.rows import (
    GMAIL_ITEMS,
    METADATA_ITEMS,
    TOO_LARGE,
    Box,
    Mail,
    attachment,
    attachment_key,
    hydrated,
    mail,
)
from pdpp_worker.connector import (
    Context,
    DetailGap,
    Message,
    ProviderError,
    Record,
    ShapeError,
    Start,
    detail_coverage,
    gap_for,
)

T = TypeVar("T")
DETAILS = ("message_bodies", "attachments")
HOPELESS = 20
"""Messages that have to fail together before the server itself is taken to be failing."""

MOST_LOSSES = 8
"""Times in a row that the server may hang up or tell of an outage before the rest of a page is left for another day; a
single message that makes it do so is found by seven halvings of a page."""

Chosen = Callable[[Mail, str, str], bool]
"""Whether, of this message, the record of a stream with this key is to be read."""


class Asks(Protocol):
    """A session with a server, or with mails of a file."""

    def ask(self, label: str, command: Callable[[Fetches], T]) -> T:
        """The answer to a command that is told by a name."""
        ...


class OtherSource(Protocol):
    """The files that the same connection reads."""

    def met(self, message: Mail, raw: bytes | None, streams: Sequence[str]) -> Iterator[Record]:
        """Note a message; takes back the records that it had under another key."""
        ...

    def holds(self, key: str) -> bool:
        """Whether a file holds the message."""
        ...


def everything(_message: Mail, _stream: str, _key: str) -> bool:
    """Every record."""
    return True


@dataclass
class Outcome:
    """The results for the messages that were asked for."""

    read: list[Mail] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    """UIDs that are there and could not be read."""
    large: list[int] = field(default_factory=list)
    """UIDs of messages of which a text or attachment is beyond the cap."""
    textless: int = 0
    """Messages whose text could not be read."""

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing at all was given, which speaks of the server rather than of one message."""
        asked = len(self.read) + len(self.failed)
        return asked >= HOPELESS and len(self.failed) + self.textless == asked


class Reader:
    """Reads messages of the selected mailbox."""

    def __init__(self, start: Start, context: Context, session: Asks, overlap: OtherSource | None = None) -> None:
        self._overlap = overlap
        self._session = session
        self._now = context.now
        self._losses = 0
        self._failure: HungUpError | OutageError | None = None
        self._details = [stream for stream in DETAILS if start.wants(stream)]
        self._cap = int(context.settings["max_file_bytes"])
        self._large: set[int] = set()
        files = Files(context.files)
        self._downloads = Downloads(self._ask, files, self._cap)
        is_kept = "message_bodies" in self._details
        self._raws = Raws(files, self._downloads, int(context.settings["max_source_bytes"]) if is_kept else 0)
        self._bodies = Bodies(self._downloads, whole="message_bodies" in self._details)

    @property
    def cap(self) -> int:
        """The largest text or attachment that is fetched, bytes."""
        return self._cap

    @property
    def details(self) -> list[str]:
        """The detail streams that are read."""
        return self._details

    def page(
        self, box: Box, uids: Sequence[int], *, known: Container[int] = (), chosen: Chosen = everything
    ) -> Generator[Message, None, Outcome]:
        """Read messages; of those whose Gmail id is `known` only the metadata, and only the details that are `chosen`.

        Raises:
            ProviderError: the server or the connection failed as a whole.
        """
        outcome = Outcome()
        self._losses = 0
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
        readable = [message for message in fresh if self._wants_text(message, chosen)]
        outcome.textless = yield from self._contents(readable)
        for message in fresh:
            yield from self._attachments(message, chosen)
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

    def _metadata(self, box: Box, uids: Sequence[int]) -> tuple[dict[int, Answer], dict[int, ProviderError]]:
        items = METADATA_ITEMS + (GMAIL_ITEMS if box.gmail else ())
        found, errors = self._isolated("FETCH of messages", uids, items)
        silent = sequence_set(uid for uid in uids if uid not in found and uid not in errors)
        if silent:
            for uid in self._session.ask("FETCH of UIDs", lambda client: client.existing(silent)):
                errors[uid] = SilentError("the server has the message and tells nothing of it")
        return found, errors

    def _wants_text(self, message: Mail, chosen: Chosen) -> bool:
        return any(chosen(message, stream, message.key) for stream in ("messages", "message_bodies"))

    def _contents(self, messages: Sequence[Mail]) -> Generator[Message, None, int]:
        """Tell the messages with their texts; returns how many have none."""
        lost, done = 0, set[int]()
        for bundle in self._raws.bundles(messages):
            answers, errors = self._isolated("FETCH of messages as they stand", [one.uid for one in bundle], ITEMS)
            self._raws.take(bundle, answers)
            for message in bundle:
                error, is_held = errors.get(message.uid), self._raws.raw(message) is not None
                if error is None and message.uid not in answers:
                    error = SilentError("the server has the message and does not tell it as it stands")
                if error is not None or is_held:
                    done.add(message.uid)
                    parts = self._raws.parts(message, self._bodies.items(message)) if is_held else {}
                    lost += yield from self._message(message, self._text(message, parts, error))
        for bundle in self._bodies.bundles([message for message in messages if message.uid not in done]):
            items = self._bodies.items(bundle[0])
            uids = [message.uid for message in bundle]
            answers, errors = self._isolated("FETCH of texts", uids, items) if len(items) > 1 else ({}, {})
            for message in bundle:
                text = self._text(message, answers.get(message.uid, {}), errors.get(message.uid))
                lost += yield from self._message(message, text)
        return lost

    def _text(self, message: Mail, answer: Answer, error: ProviderError | None) -> Text | ProviderError:
        if error is not None:
            return error
        try:
            return self._bodies.read(message, answer)
        except (RefusedError, ShapeError, HungUpError) as failure:
            return failure

    def _message(self, message: Mail, text: Text | ProviderError) -> Generator[Message, None, int]:
        """Tell a message and its text; returns 1 where the text is missing."""
        yield from self._met(message)
        if isinstance(text, Text):
            self._large |= {message.uid} if text.too_large else set()
            kept = self._raws.kept(message)
            row = {**message.row, "snippet": text.snippet(), "source": kept.as_json() if kept else None}
            yield self._record("messages", message.key, row)
        else:
            yield self._record("messages", message.key, message.row, partial=True)
        stream = "message_bodies" if "message_bodies" in self._details else "messages"
        if isinstance(text, ProviderError):
            yield self._gap(message.box, message.uid, message.gm, stream, message.key, text)
        elif stream == "message_bodies":
            yield self._record(stream, message.key, body_row(message, text))
        yield detail_coverage(stream, "messages", message.key, is_read=isinstance(text, Text))
        return isinstance(text, ProviderError)

    def _attachments(self, message: Mail, chosen: Chosen) -> Iterator[Message]:
        for index, part in enumerate(message.parts.attachments):
            key = message.attachment_key(index)
            if "attachments" not in self._details or not chosen(message, "attachments", key):
                continue
            row = attachment(message, index)
            try:
                downloads = self._downloads.through(self._raws.ask(message))
                stored = downloads.fetch(message, part)
                fetched = {**hydrated(stored), **downloads.within(stored)}
            except TooLargeError:
                fetched = TOO_LARGE
                self._large.add(message.uid)
            except (RefusedError, ShapeError, HungUpError) as error:
                yield self._record("attachments", key, row, partial=True)
                yield self._gap(message.box, message.uid, message.gm, "attachments", key, error)
                yield detail_coverage("attachments", "messages", key, is_read=False)
                continue
            yield self._record("attachments", key, {**row, **fetched})
            yield detail_coverage("attachments", "messages", key, is_read=True)

    def _isolated(
        self, label: str, uids: Sequence[int], items: Sequence[str]
    ) -> tuple[dict[int, Answer], dict[int, ProviderError]]:
        """Answers by UID; a message that spoils the answer of all is found by halving."""
        messages = sequence_set(uids)
        try:
            return self._ask(label, lambda client: client.fetch_by_uid(messages, items)), {}
        except (RefusedError, ShapeError, HungUpError) as error:
            if len(uids) == 1 or self._losses >= MOST_LOSSES:
                return {}, dict.fromkeys(uids, error)
        middle = len(uids) // 2
        found, errors = self._isolated(label, uids[:middle], items)
        more, more_errors = self._isolated(label, uids[middle:], items)
        return {**found, **more}, {**errors, **more_errors}

    def _ask(self, label: str, command: Callable[[Fetches], dict[int, Answer]]) -> dict[int, Answer]:
        """Send a command; after too many losses in a row it is taken for lost as well."""
        if self._failure is not None and self._losses >= MOST_LOSSES:
            raise self._failure
        try:
            answers = self._session.ask(label, command)
        except (HungUpError, OutageError) as error:
            self._losses, self._failure = self._losses + 1, error
            raise
        self._losses = 0
        return answers

    def _record(self, stream: str, key: str, data: dict[str, object], *, partial: bool = False) -> Record:
        return Record(stream=stream, key=key, data=data, emitted_at=self._now(), partial=partial)

    def _gap(self, box: Box, uid: int, gm: int, stream: str, key: str, error: ProviderError) -> DetailGap:
        parent = "messages" if stream in DETAILS else None
        return gap_for(error, stream, key, parent_stream=parent, detail_locator=box.locator(uid, gm))


def unread_key(box: Box, uid: int) -> str:
    """The name of a message whose id is not known because nothing of it could be read."""
    return Box(box.name, box.uidvalidity, gmail=False).key(uid, 0)
