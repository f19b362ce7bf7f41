"""The walk over a whole archive; a large one is walked in a process beside the worker's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.slack.archive import UNREADABLE, Archive, open_archive
from connectors.slack.archive_inventory import archive_inventory
from connectors.slack.errors import ArchiveError
from connectors.slack.fields import iso
from connectors.slack.ingest import Ingest, marked
from connectors.slack.rows import Obj
from connectors.slack.slackdump import reading
from connectors.slack.streams import ATTACHMENTS, CHANNELS, MESSAGES, PARENT, REACTIONS, USERS, RecordFactory
from pdpp_worker.connector import (
    WHOLE_STREAM,
    Context,
    Message,
    Reason,
    SkipResult,
    Start,
    State,
    TimeRange,
    going_on_from,
    known_reason,
    skip,
)

WORTH_ROWS = 10_000
"""From so many rows of messages on that are to be read, a process beside the worker pays for its start."""

_TABLES = {USERS: "S_USER", CHANNELS: "CHANNEL", MESSAGES: "MESSAGE"}
"""Tables that no workspace is without: where an unfinished archive holds none of it, it was not reached."""


def read_archive(
    database: Path, start: Start, factory: RecordFactory, cursor: Obj, context: Context
) -> Iterator[Message]:
    """Everything in the archive that is new or changed.

    Raises:
        ArchiveError: it cannot be read.
    """
    with reading(database.parent):
        with open_archive(database) as archive:
            ingest = Ingest(archive, factory, start)
            if ingest.unread_rows < WORTH_ROWS:
                yield from _walk(archive, ingest, factory, cursor)
                return
        asked = start.model_copy(update={"detail_gaps": []}).model_dump_json()
        place = str(database), sorted(factory.wanted), context.now()
        yield from context.beside(f"{__name__}:walk_apart", place, asked, cursor)


def walk_apart(place: tuple[str, list[str], datetime], asked: str, cursor: Obj) -> Iterator[Message]:
    """The same in the other process, in which an archive that cannot be read is said to be so."""
    database, wanted, now = place
    factory, start = RecordFactory(frozenset(wanted), going_on_from(now)), Start.model_validate_json(asked)
    try:
        with open_archive(Path(database)) as archive:
            yield from _walk(archive, Ingest(archive, factory, start), factory, cursor)
    except ArchiveError as error:
        yield from not_read(error, factory)


def not_read(error: ArchiveError, factory: RecordFactory) -> Iterator[SkipResult]:
    """The word that nothing could be read."""
    yield from (skip(stream, error.reason, WHOLE_STREAM, str(error)) for stream in sorted(factory.wanted))


def _walk(archive: Archive, ingest: Ingest, factory: RecordFactory, cursor: Obj) -> Iterator[Message]:
    empty = frozenset(
        stream
        for stream, name in _TABLES.items()
        if not archive.is_finished and stream in factory.wanted and not archive.holds(name)
    )
    yield from ingest.small_streams(empty)
    if MESSAGES in factory.wanted:
        yield from ingest.guarded(MESSAGES, _messages(archive, ingest, cursor))
    text = "slackdump ended before it had read any of this"
    failed = dict.fromkeys(empty, (Reason.SOURCE_PARTITION_FAILED, text))
    if cursor.get("failed"):
        reason, why = cursor["failed"]
        failed |= dict.fromkeys(
            (MESSAGES, ATTACHMENTS, REACTIONS), (known_reason(reason) or Reason.SOURCE_PARTITION_FAILED, why)
        )
    yield from _inventory(archive)
    yield from _skips(failed, factory)


def _messages(archive: Archive, ingest: Ingest, cursor: Obj) -> Iterator[Message]:
    position = {**_notes(cursor), **ingest.cursor(MESSAGES)}
    yield from ingest.messages(position)
    covered = None if cursor.get("failed") else TimeRange(until=iso(archive.newest_message()))
    yield State(stream=MESSAGES, cursor=marked(position, archive), covered=covered)


def _notes(cursor: Obj) -> Obj:
    """The cursor's fields beside the position."""
    return {name: cursor[name] for name in ("run", "reported", "failed") if name in cursor}


def _inventory(archive: Archive) -> Iterator[Message]:
    with suppress(*UNREADABLE):
        yield archive_inventory(archive)


def _skips(failed: dict[str, tuple[Any, str]], factory: RecordFactory) -> Iterator[SkipResult]:
    for stream in sorted(factory.wanted):
        found = failed.get(stream) or failed.get(PARENT.get(stream, ""))
        if found is not None:
            yield skip(stream, found[0], WHOLE_STREAM, found[1])
