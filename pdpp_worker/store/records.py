"""Where a record is written.

The keys of a batch are looked up in one statement; rows that change nothing go no further. New rows go through COPY
straight into the table: the lease of the connection is locked in this transaction, so nobody else adds rows of it.
Changed rows go through COPY into a temporary table and one UPDATE.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import Cursor
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection

from pdpp_worker.store import record_versions
from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.copy_rows import COLUMNS, blocks
from pdpp_worker.store.held_records import Place, as_json, contents_of, standings, versions_of
from pdpp_worker.store.novelty import Novelty
from pdpp_worker.store.versions import NEW, Fates, apply_rows, fates_of, news


class Written(NamedTuple):
    """How the rows of a batch ended."""

    flushed: int
    unchanged: int


# Without the table's NOT NULL: a deletion has no content of its own.
_STAGE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged ON COMMIT DELETE ROWS AS SELECT * FROM records WITH NO DATA
"""
_CHANGE = """
    UPDATE records SET
        data = coalesce(staged.data, records.data),
        raw = CASE WHEN staged.data IS NULL THEN records.raw ELSE staged.raw END,
        content_hash = coalesce(staged.content_hash, records.content_hash),
        partial = CASE WHEN staged.data IS NULL THEN records.partial ELSE staged.partial END,
        version = staged.version, version_digits = staged.version_digits,
        emitted_at = staged.emitted_at, deleted_at = staged.deleted_at, deleted_with = NULL,
        last_run_id = staged.last_run_id
    FROM staged
    WHERE records.connection_id = staged.connection_id AND records.stream = staged.stream AND records.key = staged.key
"""
_TO_INDEX = """
    INSERT INTO index_queue (connection_id, stream, keys)
    VALUES (%s, %s, ARRAY (SELECT jsonb_array_elements_text(%s::jsonb)))
"""


def write_records(
    connection: Connection,
    connection_id: int,
    run_id: int,
    stream: str,
    rows: list[RecordRow],
    fates: dict[str, Fates] | None = None,
    versions: int = 0,
    novelty: Novelty | None = None,
) -> Written:
    """Write one stream's rows of a batch, in their order, and count what changed. `fates` is filled, by stream. Of each
    record that changes, so many earlier `versions` are kept. `novelty`: of the slice.
    """
    novelty = Novelty() if novelty is None else novelty
    with _cursor(connection) as cursor:
        place = Place(cursor, connection_id, stream)
        if not novelty.expects(stream, rows) or not _add_unseen(connection, place, run_id, rows):
            return _look_and_write(place, run_id, rows, fates, versions, novelty)
    if fates is not None:
        fates[stream] = Fates([], {}, {}, [])
    return Written(len(rows), 0)


def _add_unseen(connection: Connection, place: Place, run_id: int, rows: list[RecordRow]) -> bool:
    """Write rows of which none is held; whether that is so. Otherwise nothing is written."""
    try:
        with connection.begin_nested():
            _copy(place, "records", run_id, rows)
    except UniqueViolation:
        return False
    _queue(place, [row.key for row in rows])
    return True


def _look_and_write(
    place: Place, run_id: int, rows: list[RecordRow], fates: dict[str, Fates] | None, versions: int, novelty: Novelty
) -> Written:
    """Look up what is held for the rows, and write those that change anything."""
    found = standings(place, rows)
    novelty.learn(place.stream, are_new=found == NEW * len(rows))
    numbered = news(rows, found)
    held = versions_of(place, {row.key for position, row in numbered if found[position] != NEW})
    contents = contents_of(place, {row.key for _, row in numbered if row.partial})
    played = apply_rows(numbered, held, contents)
    new = [row for key, row in played.changed.items() if key not in held]
    changed = [row for key, row in played.changed.items() if key in held]
    _copy(place, "records", run_id, new)
    _change(place, run_id, changed, versions)
    _queue(place, [row.key for row in (*new, *changed)])
    if fates is not None:
        fates[place.stream] = fates_of(played, held)
    return Written(played.flushed, len(rows) - played.flushed)


def _change(place: Place, run_id: int, rows: list[RecordRow], versions: int) -> None:
    if rows:
        place.cursor.execute(_STAGE)
        _copy(place, "staged", run_id, rows)
        record_versions.keep(place.cursor, versions)
        place.cursor.execute(_CHANGE)
        place.cursor.execute("TRUNCATE staged")


def _queue(place: Place, keys: list[str]) -> None:
    """Let the indexer know what changed."""
    if keys:
        place.cursor.execute(_TO_INDEX, (place.connection_id, place.stream, as_json(keys)))


def _copy(place: Place, table: str, run_id: int, rows: list[RecordRow]) -> None:
    if not rows:
        return
    with place.cursor.copy(f"COPY {table} ({COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        for block in blocks(place.connection_id, run_id, place.stream, rows):
            copy.write(block)


def _cursor(connection: Connection) -> Cursor[Any]:
    """The driver's own cursor, in the transaction of the connection: COPY has no place in SQLAlchemy."""
    driver: Any = connection.connection.driver_connection
    cursor: Cursor[Any] = driver.cursor()
    return cursor
