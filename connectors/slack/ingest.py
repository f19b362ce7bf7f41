"""The walk over an archive: what its chunks hold beyond the position that each stream's cursor keeps.

A cursor is {"archive": which archive, "chunk": highest chunk read, "id": the last id read in it, "mark": what that
chunk held, "with": the streams that were read along, "form": that of the records}. A cursor of another archive counts
for nothing, and neither does one of a version that kept less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from connectors.slack.archive import UNREADABLE, Archive, as_sentence, reason_of
from connectors.slack.archive_lists import found, saved
from connectors.slack.archive_rows import MessageRow, Row
from connectors.slack.fields import text
from connectors.slack.rows import Obj, is_placeholder, message_id
from connectors.slack.streams import (
    CANVASES,
    CHANNELS,
    FILES,
    MEMBERSHIPS,
    MESSAGES,
    PARENT,
    STARS,
    USERS,
    WORKSPACE,
    RecordFactory,
)
from pdpp_worker.connector import WHOLE_STREAM, DetailGap, Message, Progress, Reason, Record, Start, State, skip
from pdpp_worker.connector.json_fields import array, table, tables

RECORDS_PER_STATE = 2_000

_PLACE = ("chunk", "id", "channel", "upto", "doubts", "found", "saved", "ids")

FORM = 2
"""The form of the records; an archive that was read into records of an earlier one is read once more."""

FIRST_SEEN = "1970-01-01"
"""The day of a row of which the archive kept none."""


class Ingest:
    """Reads an archive for one slice."""

    def __init__(self, archive: Archive, factory: RecordFactory, start: Start) -> None:
        self._archive = archive
        self._factory = factory
        self._start = start

    def cursor(self, stream: str) -> Obj:
        """The stream's position in this archive, if its cursor keeps one and what rides on the stream was read too."""
        saved = table(self._start.cursor(stream))
        riders = sorted(one for one in self._factory.wanted if PARENT.get(one) == stream)
        position: Obj = {"archive": self._archive.identity, "with": riders, "form": FORM}
        if (
            saved.get("form") != FORM
            or not is_of(saved, self._archive)
            or not set(riders) <= set(array(saved.get("with")))
        ):
            return position
        return position | {name: saved[name] for name in _PLACE if name in saved}

    @property
    def unread_rows(self) -> int:
        """The rows of messages that the walk will read, about; 0 where they cannot be counted."""
        with suppress(*UNREADABLE):
            return (
                self._archive.message_count((_chunk(self.cursor(MESSAGES)), 0))
                if MESSAGES in self._factory.wanted
                else 0
            )
        return 0

    def _state(self, stream: str, position: Obj) -> State:
        return State(stream=stream, cursor=marked(position, self._archive))

    def small_streams(self, skipped: frozenset[str]) -> Iterator[Message]:
        """Everything but messages; `skipped` streams are left alone."""
        rows: dict[str, tuple[Callable[..., Iterator[Row]], Callable[[Row], Iterator[Record]]]] = {
            USERS: (self._archive.users, self._user),
            CHANNELS: (self._archive.channels, self._channel),
            FILES: (self._archive.files, self._file),
        }
        wanted = self._factory.wanted - skipped
        if WORKSPACE in wanted:
            yield from self.guarded(WORKSPACE, self._workspaces())
        for stream, (read, emit) in rows.items():
            if stream in wanted:
                yield from self.guarded(stream, self._table(stream, read, emit))
        if MEMBERSHIPS in wanted:
            yield from self.guarded(MEMBERSHIPS, self._crowds())
        if STARS in wanted:
            yield from self.guarded(STARS, self._saved())

    def _saved(self) -> Iterator[Message]:
        position = self.cursor(STARS)
        yield from saved(self._archive, self._factory, position, self._start.run_id)
        yield self._state(STARS, position)

    def guarded(self, stream: str, messages: Iterator[Message]) -> Iterator[Message]:
        """A table that is not there or cannot be read costs its own streams only."""
        try:
            yield from messages
        except UNREADABLE as error:
            for one in (stream, *(rider for rider, parent in PARENT.items() if parent == stream)):
                if one in self._factory.wanted:
                    yield skip(one, reason_of(str(error)), WHOLE_STREAM, as_sentence(error))

    def _workspaces(self) -> Iterator[Message]:
        position = self.cursor(WORKSPACE)
        for raw in self._archive.workspaces(_chunk(position)):
            yield from self._factory.workspace(raw)
        yield self._state(WORKSPACE, {**position, "chunk": self._archive.last_chunk()})

    def messages(self, position: Obj) -> Iterator[Message]:
        """Every new or changed message, with what rides on it; `position` is the cursor, and is moved on."""
        after = (_chunk(position), position.get("id", -1))
        walked, total, unsaved = 0, self._archive.message_count(after), 0
        for row in self._archive.messages(after):
            for message in self.message(row):
                unsaved += 1
                yield message
            walked += 1
            position["chunk"], position["id"] = row.chunk, row.id
            if unsaved >= RECORDS_PER_STATE:
                unsaved = 0
                # Rows that a later chunk supersedes are passed over, so the total is an upper bound.
                yield Progress(stream=MESSAGES, message="reading the archive", count=walked, total=max(total, walked))
                yield self._state(MESSAGES, position)
        yield from found(self._archive, self._factory, MESSAGES, position)
        yield Progress(stream=MESSAGES, message="the archive is read", count=walked, total=walked)

    def message(self, row: MessageRow) -> Iterator[Message]:
        """The records of one message, or a gap where its row cannot be read."""
        if row.raw is None:
            yield unreadable(MESSAGES, message_id(row.channel, row.ts))
        elif not is_placeholder(row.raw):
            for record in self._factory.message(row.channel, row.ts, row.raw, row.earlier):
                if record.stream not in (FILES, CANVASES) or not self._archive.lists_file(str(record.key)):
                    yield record
            for file in tables(row.raw.get("files")):
                if (key := text(file.get("id"))) is not None and not self._archive.lists_file(key):
                    yield from self._factory.file(file)
        elif known := next((raw for raw in row.earlier if not is_placeholder(raw)), None):
            yield from self._factory.message(row.channel, row.ts, known, row.earlier)

    def _table(
        self, stream: str, read: Callable[..., Iterator[Row]], emit: Callable[[Row], Iterator[Record]]
    ) -> Iterator[Message]:
        position = self.cursor(stream)
        unsaved = 0
        for row in read((_chunk(position), position.get("id", "")) if "chunk" in position else (0, "")):
            if row.raw is None:
                yield unreadable(stream, row.id)
            for record in emit(row):
                unsaved += 1
                yield record
            position |= {"chunk": row.chunk, "id": row.id}
            if unsaved >= RECORDS_PER_STATE:
                unsaved = 0
                yield self._state(stream, position)
        if stream == FILES:
            yield from found(self._archive, self._factory, FILES, position)
        yield self._state(stream, position)

    def _user(self, row: Row) -> Iterator[Record]:
        if row.raw is not None:
            yield from self._factory.user({**row.raw, "id": row.id})

    def _channel(self, row: Row) -> Iterator[Record]:
        if row.raw is None:
            return
        for record in self._factory.channel({**row.raw, "id": row.id}, row.extra or FIRST_SEEN):
            if not row.has_other or record.stream != CHANNELS:
                yield record

    def _file(self, row: Row) -> Iterator[Record]:
        raw = {"mode": row.extra, **(row.raw or {}), "id": row.id}
        if row.raw is None:
            return
        known = self._archive.known_file(row)
        yield from self._factory.file(raw, {**known, "id": row.id} if known is not None else None)

    def _crowds(self) -> Iterator[Message]:
        position = self.cursor(MEMBERSHIPS)
        doubts = table(position.setdefault("doubts", {}))
        # What is added while the walk is under way is read by the next one.
        upto = position.setdefault("upto", self._archive.last_chunk())
        unsaved = 0
        for crowd in self._archive.crowds(_chunk(position), position.get("channel", ""), doubts):
            yield from (self._factory.membership(crowd.channel, user) for user in crowd.members)
            gone = (f"{crowd.channel}:{user}" for user in crowd.gone)
            yield from self._factory.deleted(MEMBERSHIPS, gone, ground="absent")
            if crowd.is_short:
                yield short_crowd(crowd.channel)
            # Who left is said in the walks of two runs.
            first = doubts.pop(crowd.channel, self._start.run_id) if crowd.gone else None
            if first == self._start.run_id:
                doubts[crowd.channel] = first
            position["channel"] = crowd.channel
            unsaved += len(crowd.members)
            if unsaved >= RECORDS_PER_STATE:
                unsaved = 0
                yield self._state(MEMBERSHIPS, position)
        left = {name: one for name, one in position.items() if name not in ("channel", "upto")}
        yield self._state(MEMBERSHIPS, {**left, "chunk": upto})


def is_of(saved: Obj, archive: Archive) -> bool:
    """Whether a cursor speaks of this archive: it was begun at the same time, and the chunk that was read last is the
    same in it. One that was restored and has grown since, or was made anew, has another there."""
    return saved.get("archive") == archive.identity and saved.get("mark") == archive.mark(_last(saved))


def marked(position: Obj, archive: Archive) -> Obj:
    """The position as the cursor keeps it."""
    return {**position, "mark": archive.mark(_last(position))}


def _last(position: Obj) -> int:
    upto = position.get("upto", 0)
    return max(_chunk(position), upto if isinstance(upto, int) else 0)


def short_crowd(channel: str) -> DetailGap:
    """Fewer members than the archive itself counts."""
    return DetailGap(
        stream=MEMBERSHIPS,
        record_key=channel,
        reason=Reason.SOURCE_PARTITION_FAILED.value,
        detail_locator={"members_of": channel},
        last_error="the archive names fewer members than it counts",
    )


def unreadable(stream: str, key: str) -> DetailGap:
    """A row whose JSON is broken."""
    return DetailGap(
        stream=stream,
        record_key=key,
        reason=Reason.PARSE_FAILED.value,
        detail_locator={"row": key},
        last_error="the archive's row is not a JSON object",
    )


def _chunk(position: Obj) -> int:
    chunk = position.get("chunk", 0)
    return chunk if isinstance(chunk, int) else 0
