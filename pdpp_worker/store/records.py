"""Where a record is written.

Keys and hashes that the table holds are looked up in one statement; rows that change nothing go no further. New rows go
through COPY straight into the table: the lease of the connection is locked in this transaction, so nobody else adds
rows of it. Changed rows go through COPY into a temporary table and one UPDATE.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import orjson
from psycopg import Cursor
from sqlalchemy import Connection

from pdpp_worker.protocol.numbers import exact_float
from pdpp_worker.store import record_versions
from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.copy_rows import COLUMNS, blocks
from pdpp_worker.store.values import exact_json
from pdpp_worker.store.versions import Content, Fates, StoredVersion, apply_rows, fates_of, news


class Written(NamedTuple):
    """How the rows of a batch ended."""

    flushed: int
    unchanged: int


# The keys come as one JSON text: an array of thousands of parameters is dear to write and to plan for.
_HASHES = """
    SELECT key, CASE WHEN deleted_at IS NULL AND NOT partial THEN content_hash END FROM records
    WHERE connection_id = %s AND stream = %s AND key = ANY (ARRAY (SELECT jsonb_array_elements_text(%s::jsonb)))
"""
_HELD = """
    SELECT key, content_hash, version, deleted_at IS NOT NULL, partial, version_digits FROM records
    WHERE connection_id = %s AND stream = %s AND key = ANY (ARRAY (SELECT jsonb_array_elements_text(%s::jsonb)))
"""
_DATA = """
    SELECT key, coalesce(convert_from(raw, 'UTF8'), data::text), partial FROM records
    WHERE connection_id = %s AND stream = %s AND key = ANY (ARRAY (SELECT jsonb_array_elements_text(%s::jsonb)))
"""
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
) -> Written:
    """Write one stream's rows of a batch, in their order, and count what changed. `fates` is filled, by stream. Of each
    record that changes, so many earlier `versions` are kept.
    """
    with _cursor(connection) as cursor:
        place = cursor, connection_id, stream
        hashes = _hashes(*place, {row.key for row in rows})
        numbered = news(rows, hashes)
        held = _held(*place, {row.key for _, row in numbered if row.key in hashes})
        contents = _contents(*place, {row.key for _, row in numbered if row.partial})
        played = apply_rows(numbered, held, contents)
        new = [row for key, row in played.changed.items() if key not in held]
        changed = [row for key, row in played.changed.items() if key in held]
        _copy(cursor, "records", connection_id, run_id, stream, new)
        if changed:
            cursor.execute(_STAGE)
            _copy(cursor, "staged", connection_id, run_id, stream, changed)
            record_versions.keep(cursor, versions)
            cursor.execute(_CHANGE)
            cursor.execute("TRUNCATE staged")
        _queue(cursor, connection_id, stream, [row.key for row in (*new, *changed)])
    if fates is not None:
        fates[stream] = fates_of(played, held)
    return Written(played.flushed, len(rows) - played.flushed)


def _queue(cursor: Cursor[Any], connection_id: int, stream: str, keys: list[str]) -> None:
    """Let the indexer know what changed."""
    if keys:
        cursor.execute(_TO_INDEX, (connection_id, stream, _as_json(keys)))


def _hashes(cursor: Cursor[Any], connection_id: int, stream: str, keys: Iterable[str]) -> dict[str, bytes | None]:
    cursor.execute(_HASHES, (connection_id, stream, _as_json(list(keys))), binary=True)
    return dict(cursor.fetchall())


def _held(cursor: Cursor[Any], connection_id: int, stream: str, keys: Collection[str]) -> dict[str, StoredVersion]:
    if not keys:
        return {}
    cursor.execute(_HELD, (connection_id, stream, _as_json(list(keys))), binary=True)
    return {row[0]: StoredVersion._make(row[1:]) for row in cursor.fetchall()}


def _as_json(keys: list[str]) -> str:
    """Keys as JSON; those with half surrogate pairs need the longer way."""
    try:
        return orjson.dumps(keys).decode()
    except orjson.JSONEncodeError:
        return exact_json(keys)


def _contents(cursor: Cursor[Any], connection_id: int, stream: str, keys: Collection[str]) -> dict[str, Content]:
    if not keys:
        return {}
    cursor.execute(_DATA, (connection_id, stream, _as_json(list(keys))), binary=True)
    return {key: Content(json.loads(text, parse_float=exact_float), partial) for key, text, partial in cursor}


def _copy(cursor: Cursor[Any], table: str, connection_id: int, run_id: int, stream: str, rows: list[RecordRow]) -> None:
    if not rows:
        return
    with cursor.copy(f"COPY {table} ({COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        for block in blocks(connection_id, run_id, stream, rows):
            copy.write(block)


def _cursor(connection: Connection) -> Cursor[Any]:
    """The driver's own cursor, in the transaction of the connection: COPY has no place in SQLAlchemy."""
    driver: Any = connection.connection.driver_connection
    cursor: Cursor[Any] = driver.cursor()
    return cursor
