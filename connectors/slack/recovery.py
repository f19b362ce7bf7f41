"""Known gaps, tried one by one: exactly the conversation, thread or record that each names, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from connectors.slack.api import Api
from connectors.slack.archive import Archive
from connectors.slack.conversations import BEGINNING, miss_reason
from connectors.slack.errors import Refused, Unreadable
from connectors.slack.fields import text
from connectors.slack.ingest import FIRST_SEEN, Ingest
from connectors.slack.refresh import entity_of
from connectors.slack.rows import Obj
from connectors.slack.streams import (
    ATTACHMENTS,
    CANVASES,
    CHANNEL_STATS,
    CHANNELS,
    FILES,
    MEMBERSHIPS,
    MESSAGES,
    REACTIONS,
    USERS,
    RecordFactory,
)
from connectors.slack.web import Web
from pdpp_worker.connector import (
    GapToClose,
    Gone,
    Message,
    NeedsOwner,
    ProviderError,
    Reason,
    Record,
    ResourceScope,
    closed_as_absent,
    closed_by,
    still_missing,
)
from pdpp_worker.connector.json_fields import table

_IN_MESSAGES = frozenset({MESSAGES, ATTACHMENTS, REACTIONS})


class Reader(Protocol):
    """Reads single things again; every method raises ProviderError, `Gone` where there is nothing to read."""

    def entity(self, entity: str, locator: Obj) -> Iterator[Message]:
        """All of a channel, or of a thread (`channel:ts`)."""
        ...

    def message(self, channel: str, ts: str) -> Iterator[Message]:
        """One message with what rides on it."""
        ...

    def thing(self, stream: str, key: str) -> Iterator[Message]:
        """One channel, person or file."""
        ...

    def members(self, channel: str) -> Iterator[Message]:
        """The members of a channel."""
        ...


def recover(reader: Reader, gaps: Iterable[GapToClose]) -> Iterator[Message]:
    """Try each gap: its records and the word that it is closed, or the gap again.

    Raises:
        NeedsOwner: nothing further can be asked for.
    """
    for known in gaps:
        messages = _messages_of(reader, known)
        if messages is not None:
            yield from _try(known, _name_of(known), messages)


def _messages_of(reader: Reader, known: GapToClose) -> Iterator[Message] | None:
    if (entity := entity_of(known)) is not None:
        return reader.entity(entity, table(known.detail_locator))
    if not isinstance(known.scope, ResourceScope):
        return None
    key = known.scope.resource_id
    if known.stream == MEMBERSHIPS:
        return reader.members(key.partition(":")[0])
    if known.stream in _IN_MESSAGES:
        channel, _, rest = key.partition(":")
        return reader.message(channel, rest.partition(":")[0])
    if known.stream in (USERS, CHANNELS, CHANNEL_STATS, FILES, CANVASES):
        return reader.thing(known.stream, key.partition(":")[0])
    return None


def _try(known: GapToClose, key: str, messages: Iterator[Message]) -> Iterator[Message]:
    proof: Record | None = None
    try:
        for message in messages:
            if isinstance(message, Record) and _proves(message, known):
                proof = message
            yield message
    except NeedsOwner:
        raise
    except Gone:
        yield closed_as_absent(known, key)
        return
    except ProviderError as error:
        yield still_missing(error, known, key, reason=miss_reason(error))
        return
    if known.reason == Reason.RECORD_REJECTED:
        return  # The record's own acceptance is the proof.
    if proof is None:
        yield closed_as_absent(known, key)
    else:
        yield closed_by(proof, known)


def _proves(record: Record, known: GapToClose) -> bool:
    """Whether a record is the one that a gap is about, or is of the part that it is about."""
    if record.stream != known.stream or record.op == "delete" or record.partial:
        return False
    is_part = known.stream == MEMBERSHIPS or not isinstance(known.scope, ResourceScope)
    return is_part or record.key == _name_of(known)


def _name_of(known: GapToClose) -> str:
    return known.scope.resource_id if isinstance(known.scope, ResourceScope) else entity_of(known) or known.stream


class OnlineReader:
    """Reads through the Web API."""

    _METHODS = (
        (USERS, ("users.info", "user", "user")),
        (CHANNELS, ("conversations.info", "channel", "channel")),
        (CHANNEL_STATS, ("conversations.info", "channel", "channel")),
        (FILES, ("files.info", "file", "file")),
        (CANVASES, ("files.info", "file", "file")),
    )

    def __init__(self, api: Api, web: Web, factory: RecordFactory) -> None:
        self._api = api
        self._web = web
        self._factory = factory

    def entity(self, entity: str, locator: Obj) -> Iterator[Message]:
        """All of a thread, or of a channel between the times that its gap names."""
        channel, _, thread = entity.partition(":")
        if thread:
            return self._web.conversations.thread(channel, thread)
        oldest, latest = text(locator.get("oldest")), text(locator.get("latest"))
        return self._web.conversations.whole(channel, oldest or BEGINNING, latest)

    def message(self, channel: str, ts: str) -> Iterator[Message]:
        """One message with what rides on it."""
        return self._web.conversations.one(channel, ts)

    def thing(self, stream: str, key: str) -> Iterator[Message]:
        """One channel, person or file."""
        method, name, parameter = dict(self._METHODS)[stream]
        raw = self._api.info(method, name, **{parameter: key})
        yield from _emit(self._factory, stream, raw, self._factory.now().date().isoformat())

    def members(self, channel: str) -> Iterator[Message]:
        """The members of a channel."""
        return self._web.members(channel)


class ArchiveReader:
    """Reads in the archive; `unfinished` are the channels and threads that it does not hold whole."""

    _TABLES = (
        (USERS, "S_USER"),
        (CHANNELS, "CHANNEL"),
        (CHANNEL_STATS, "CHANNEL"),
        (FILES, "FILE"),
        (CANVASES, "FILE"),
    )

    def __init__(
        self, archive: Archive, ingest: Ingest, factory: RecordFactory, unfinished: Iterable[str], why: str
    ) -> None:
        self._archive = archive
        self._ingest = ingest
        self._factory = factory
        self._unfinished = frozenset(unfinished)
        self._why = why

    def entity(self, entity: str, locator: Obj) -> Iterator[Message]:  # noqa: ARG002 - a reader's signature
        """All of a channel or thread, once the archive holds it whole."""
        channel, _, thread = entity.partition(":")
        if not self._unfinished.isdisjoint({entity, channel}):
            raise Refused(self._why)
        for row in self._archive.messages_of(channel, thread or None):
            yield from self._ingest.message(row)

    def message(self, channel: str, ts: str) -> Iterator[Message]:
        """One message with what rides on it."""
        for row in self._archive.message(channel, ts):
            if row.raw is None:
                raise Unreadable("the archive's row is not a JSON object")
            yield from self._ingest.message(row)

    def thing(self, stream: str, key: str) -> Iterator[Message]:
        """One channel, person or file."""
        row = self._archive.newest(dict(self._TABLES)[stream], key)
        if row is None:
            raise Gone("the archive does not hold it any more")
        if row.raw is None:
            raise Unreadable("the archive's row is not a JSON object")
        yield from _emit(self._factory, stream, {**row.raw, "id": key}, row.extra or FIRST_SEEN)

    def members(self, channel: str) -> Iterator[Message]:
        """The members of a channel."""
        for crowd in self._archive.crowds(-1, ""):
            if crowd.channel == channel:
                yield from (self._factory.membership(channel, user) for user in crowd.members)


def _emit(factory: RecordFactory, stream: str, raw: Obj, day: str) -> Iterator[Record]:
    if stream == USERS:
        return factory.user(raw)
    return factory.channel(raw, day) if stream in (CHANNELS, CHANNEL_STATS) else factory.file(raw)
