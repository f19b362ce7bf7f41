"""Single things in an archive, for known gaps. A thing that an archive does not hold is not said to be absent.

Rows are only ever added to an archive, so that one which lacks what was missed is another one, or was restored.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

from connectors.slack.archive import UNREADABLE, Archive, as_sentence
from connectors.slack.archive_rows import MessageRow, Row
from connectors.slack.completeness import Completeness, has_begun
from connectors.slack.errors import Refused, Unreadable
from connectors.slack.ingest import FIRST_SEEN, Ingest
from connectors.slack.online_reader import emit
from connectors.slack.rest import Rest
from connectors.slack.rows import Obj
from connectors.slack.streams import CANVASES, CHANNEL_STATS, CHANNELS, FILES, USERS, RecordFactory
from pdpp_worker.connector import Message

_AnyRow = TypeVar("_AnyRow", Row, MessageRow)


class ArchiveReader:
    """Reads in the archive, which `lacks` some channels and threads."""

    rest: Rest | None = None

    _TABLES = (
        (USERS, "S_USER"),
        (CHANNELS, "CHANNEL"),
        (CHANNEL_STATS, "CHANNEL"),
        (FILES, "FILE"),
        (CANVASES, "FILE"),
    )

    def __init__(self, archive: Archive, ingest: Ingest, factory: RecordFactory, lacks: Completeness, why: str) -> None:
        self._archive = archive
        self._ingest = ingest
        self._factory = factory
        self._lacks = lacks
        self._why = why

    def entity(self, entity: str, locator: Obj) -> Iterator[Message]:  # noqa: ARG002 - a reader's signature
        """All of a channel or thread, once the archive holds it whole."""
        return _readable(self._entity(entity))

    def message(self, channel: str, ts: str) -> Iterator[Message]:
        """One message with what rides on it."""
        return _readable(self._message(channel, ts))

    def thing(self, stream: str, key: str) -> Iterator[Message]:
        """One channel, person or file."""
        return _readable(self._thing(stream, key))

    def members(self, channel: str, locator: Obj) -> Iterator[Message]:  # noqa: ARG002 - a reader's signature
        """The members of a channel."""
        return _readable(self._members(channel))

    def _entity(self, entity: str) -> Iterator[Message]:
        channel, _, thread = entity.partition(":")
        if self._lacks.unknown is not None or not self._lacks.unfinished.keys().isdisjoint({entity, channel}):
            raise Refused(self._lacks.unknown or self._why)
        rows = self._archive.messages_of(channel, thread or None)
        first = next(rows, None)
        if first is None and (thread or not has_begun(self._archive, channel)):
            raise Refused("the archive does not hold it")
        for row in chain([first] if first is not None else [], rows):
            yield from self._ingest.message(row)

    def _message(self, channel: str, ts: str) -> Iterator[Message]:
        row = next(self._archive.message(channel, ts), None)
        yield from self._ingest.message(_there(row))

    def _thing(self, stream: str, key: str) -> Iterator[Message]:
        row = _there(self._archive.newest(dict(self._TABLES)[stream], key))
        yield from emit(self._factory, stream, {**(row.raw or {}), "id": key}, row.extra or FIRST_SEEN)

    def _members(self, channel: str) -> Iterator[Message]:
        crowd = next((one for one in self._archive.crowds(-1, "") if one.channel == channel), None)
        if crowd is None or not crowd.members:
            raise Refused("the archive does not hold its members")
        yield from (self._factory.membership(channel, user) for user in crowd.members)
        if crowd.is_short:
            raise Refused("the archive names fewer members than it counts")


def _there(row: _AnyRow | None) -> _AnyRow:
    """The row, which holds a JSON object."""
    if row is None:
        raise Refused("the archive does not hold it")
    if row.raw is None:
        raise Unreadable("the archive's row is not a JSON object")
    return row


def _readable(messages: Iterator[Message]) -> Iterator[Message]:
    """The same; a table that is damaged or not there costs this one thing."""
    try:
        yield from messages
    except UNREADABLE as error:
        raise Refused(as_sentence(error)) from error
