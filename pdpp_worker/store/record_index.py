"""The index of records: filled from a queue, one batch in each transaction, by one indexer at a time.

The batch that writes records puts their keys into the queue. So collecting does no more than that, whatever words cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

from pdpp_worker.store.sought_words import first_words_of

WORDS_CHARACTERS = 200_000
"""A record's text is found by its words up to here."""
WORDS_BYTES = 1_000_000
"""Bytes of a record's words; PostgreSQL holds 1,048,575 in an index row."""
QUIET_S, LONGEST_WAIT_S = 2, 60
"""A batch waits until none has come for so long, as words take more time than a load, but no longer than this; s."""
_LOCK = 0x70647070696478
"""Number of the advisory lock that the one indexer holds."""


class Batch(NamedTuple):
    """Records of a stream that are to be indexed."""

    id: int
    connection_id: int
    connector: str
    stream: str
    keys: list[str]


class Fields(NamedTuple):
    """The members that hold a record's own time and its thread; None: there is none."""

    time: str | None
    thread: str | None


class _Place(NamedTuple):
    key: str
    at: datetime
    thread: str | None
    words: str
    """Words with a space between them; a word holds none."""


_ALONE = text("SELECT pg_try_advisory_xact_lock(:lock)")
# A time that lies ahead is that of a clock that was put back since: it is waited for no longer than any other.
_TAKE = text(f"""
    SELECT index_queue.id, connection_id, coalesce(connector, '') AS connector, stream, keys
    FROM index_queue LEFT JOIN connections ON connections.id = connection_id
    WHERE abs(extract(epoch FROM clock_timestamp() - queued_at)) > {LONGEST_WAIT_S}
        OR (SELECT abs(extract(epoch FROM clock_timestamp() - queued_at)) > {QUIET_S}
            FROM index_queue ORDER BY id DESC LIMIT 1)
    ORDER BY index_queue.id LIMIT 1 FOR UPDATE OF index_queue SKIP LOCKED
""")
_PLACES = text(f"""
    SELECT key, emitted_at, data ->> CAST(:time AS text) AS at, data ->> CAST(:thread AS text) AS thread, left((
        SELECT string_agg(value #>> '{{}}', ' ')
        FROM jsonb_path_query(data, 'strict $.** ? (@.type() == "string")') AS value
    ), {WORDS_CHARACTERS}) AS texts
    FROM records
    WHERE connection_id = :id AND stream = :stream AND key = ANY(CAST(:keys AS text[])) ORDER BY key
""")
# Words have no positions here, which would take most of the room.
_INDEX = text("""
    INSERT INTO record_index (connection_id, stream, key, at, thread, words)
    SELECT records.connection_id, records.stream, records.key, given.at, given.thread,
        array_to_tsvector(string_to_array(given.words, ' '))
    FROM unnest(CAST(:keys AS text[]), CAST(:ats AS timestamptz[]), CAST(:threads AS text[]), CAST(:words AS text[]))
        AS given (key, at, thread, words)
    JOIN records ON records.connection_id = :id AND records.stream = :stream AND records.key = given.key
    ON CONFLICT (connection_id, stream, key)
        DO UPDATE SET at = excluded.at, thread = excluded.thread, words = excluded.words
""")
_DONE = text("DELETE FROM index_queue WHERE id = :id")
_FORGET_QUEUE = text("DELETE FROM index_queue WHERE connection_id = :id")
_FORGET = text("DELETE FROM record_index WHERE connection_id = :id")


def index_batch(connection: Connection, fields_of: Callable[[str, str], Fields]) -> int | None:
    """Index the oldest batch of the queue; returns how many records.

    None: there is none, a load is under way that is left alone for a while, or another indexer is at it.
    `fields_of` tells the members by connector and stream.
    """
    if not connection.execute(_ALONE, {"lock": _LOCK}).scalar_one():
        return None
    row = connection.execute(_TAKE).one_or_none()
    if row is None:
        return None
    batch = Batch(*row)
    places = _places(connection, batch, fields_of(batch.connector, batch.stream))
    if places:
        connection.execute(_INDEX, {**_of(batch), **_arrays(places)})
    connection.execute(_DONE, {"id": batch.id})
    return len(places)


def forget(connection: Connection, connection_id: int) -> None:
    """Drop what is indexed, and what waits to be, of a connection whose lease is locked."""
    connection.execute(_FORGET_QUEUE, {"id": connection_id})
    connection.execute(_FORGET, {"id": connection_id})


def moment_of(text_of_time: str | None) -> datetime | None:
    """A time in ISO 8601 (UTC where it names no zone) or in Unix s; None: it is neither."""
    if text_of_time is None:
        return None
    try:
        found = datetime.fromisoformat(text_of_time)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        return datetime.fromtimestamp(float(text_of_time), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _of(batch: Batch) -> dict[str, object]:
    return {"id": batch.connection_id, "stream": batch.stream}


def _places(connection: Connection, batch: Batch, fields: Fields) -> list[_Place]:
    values = {**_of(batch), "keys": batch.keys, **fields._asdict()}
    rows = connection.execute(_PLACES, values)
    return [_place(row) for row in rows]


def _place(row: Row[Any]) -> _Place:
    words = first_words_of(row.texts or "", WORDS_BYTES)
    return _Place(row.key, moment_of(row.at) or row.emitted_at, row.thread, words)


def _arrays(places: Sequence[_Place]) -> dict[str, object]:
    return {
        "keys": [one.key for one in places],
        "ats": [one.at for one in places],
        "threads": [one.thread for one in places],
        "words": [one.words for one in places],
    }
