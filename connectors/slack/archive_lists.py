"""The lists of an archive beside its conversations: results of searches, and saved items; newer slackdumps have these.

A search shows less of a message than its conversation does, so that it is laid over what is held of the message, and
only where the archive does not hold the message itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.slack import personal_rows
from connectors.slack.absence import absence
from connectors.slack.archive import Archive
from connectors.slack.archive_rows import decode
from connectors.slack.fields import micros
from connectors.slack.rows import Obj
from connectors.slack.streams import FILES, MESSAGES, STARS, RecordFactory
from pdpp_worker.connector import Message

_FOUND = """
    SELECT s.rowid, s.CHANNEL_ID, s.TS, CAST(s.DATA AS BLOB) FROM SEARCH_MESSAGE s WHERE s.rowid > ? AND NOT EXISTS (
        SELECT 1 FROM MESSAGE m WHERE m.ID = CAST(replace(s.TS, '.', '') AS INTEGER) AND +m.CHANNEL_ID = s.CHANNEL_ID)
    ORDER BY s.rowid
"""
_FILES = "SELECT rowid, FILE_ID, FILE_ID, CAST(DATA AS BLOB) FROM SEARCH_FILE WHERE rowid > ? ORDER BY rowid"
_SAVED = "SELECT CHUNK_ID, CAST(DATA AS BLOB) FROM SAVED_ITEM ORDER BY CHUNK_ID, rowid"
TABLES = {MESSAGES: "SEARCH_MESSAGE", FILES: "SEARCH_FILE", STARS: "SAVED_ITEM"}
"""Stream to the table of its list; archives of older versions have none of them."""


def found(archive: Archive, factory: RecordFactory, stream: str, position: Obj) -> Iterator[Message]:
    """The messages or files of searches that came after the position, which is moved on."""
    if TABLES[stream] not in archive.schema.tables:
        return
    query = _FOUND if stream == MESSAGES else _FILES
    for row, of, name, data in archive.database.execute(query, (position.get("found", 0),)):
        yield from _found(factory, stream, of, name, decode(data))
        position["found"] = row


def _found(factory: RecordFactory, stream: str, of: Any, name: Any, raw: Obj | None) -> Iterator[Message]:
    if raw is None or not isinstance(of, str):
        return  # It is counted in the inventory.
    if stream == FILES:
        yield from factory.found_file({**raw, "id": of})
    elif micros(name) is not None:
        yield from factory.found(of, name, raw)


def saved(archive: Archive, factory: RecordFactory, position: Obj, run: str) -> Iterator[Message]:
    """The saved items; `position` is moved on. slackdump takes out of its table what is on the list no longer."""
    if TABLES[STARS] not in archive.schema.tables:
        return
    met: dict[str, None] = {}
    for chunk, data in archive.database.execute(_SAVED):
        row = personal_rows.star(decode(data) or {})
        if row is not None:
            met[row["id"]] = None
            if chunk > position.get("saved", 0):
                yield factory.row(STARS, row)
                position["newest"] = chunk
    position["saved"] = position.pop("newest", position.get("saved", 0))
    gone, kept = absence(position, met, run)
    yield from factory.deleted(STARS, gone, ground="absent")
    position |= kept
