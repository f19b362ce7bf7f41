"""Earlier versions of records: the content that another one took the place of.

The last version stays in the record itself, also where the source has deleted it. A record that does not change costs
nothing here.
"""

from __future__ import annotations

from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection, text

BYTES = 256 * 1024
"""Most bytes of one record's earlier versions, as the server stores them. Of a larger one only the fact is kept."""

# Rows of a batch that change something are in `staged`; a deletion has no content of its own there. One version more
# takes the place of the oldest one.
_KEEP = f"""
    WITH replaced AS MATERIALIZED (
        SELECT held.*, size.bytes, earlier.bytes AS earlier_bytes, coalesce(earlier.place, 0) + 1 AS place,
            runs.connector_version, staged.last_run_id AS replaced_by_run_id
        FROM staged JOIN records AS held USING (connection_id, stream, key)
        LEFT JOIN runs ON runs.id = held.last_run_id
        CROSS JOIN LATERAL (
            SELECT max(place) AS place, coalesce(sum(old.bytes) FILTER (WHERE old.data IS NOT NULL), 0) AS bytes
            FROM record_versions AS old
            WHERE old.connection_id = held.connection_id AND old.stream = held.stream AND old.key = held.key
        ) AS earlier
        CROSS JOIN LATERAL (SELECT pg_column_size(held.data) + coalesce(pg_column_size(held.raw), 0) AS bytes) AS size
        WHERE staged.data IS NOT NULL AND staged.content_hash <> held.content_hash
    ), added AS (
        INSERT INTO record_versions (connection_id, stream, key, place, data, raw, bytes, partial, emitted_at,
            deleted_at, run_id, connector_version, replaced_by_run_id)
        SELECT connection_id, stream, key, place, CASE WHEN bytes <= {BYTES} THEN data END,
            CASE WHEN bytes <= {BYTES} THEN raw END, bytes, partial, emitted_at, deleted_at, last_run_id,
            connector_version, replaced_by_run_id
        FROM replaced
    ), dropped AS (
        DELETE FROM record_versions AS old USING replaced
        WHERE old.connection_id = replaced.connection_id AND old.stream = replaced.stream AND old.key = replaced.key
            AND old.place <= replaced.place - %s
    )
    SELECT coalesce(bool_or(earlier_bytes + bytes > {BYTES}), false) FROM replaced
"""
_TRIM = f"""
    DELETE FROM record_versions AS old USING (
        SELECT connection_id, stream, key, place,
            sum(bytes) FILTER (WHERE record_versions.data IS NOT NULL) OVER newest AS bytes
        FROM record_versions JOIN staged USING (connection_id, stream, key)
        WINDOW newest AS (PARTITION BY connection_id, stream, key ORDER BY place DESC)
    ) AS ranked
    WHERE old.connection_id = ranked.connection_id AND old.stream = ranked.stream AND old.key = ranked.key
        AND old.place = ranked.place AND ranked.bytes > {BYTES}
"""
_FORGET = text("DELETE FROM record_versions WHERE connection_id = :id")
_FORGET_DELETED = text("""
    DELETE FROM record_versions AS old USING records AS held
    WHERE held.connection_id = :id AND held.deleted_at IS NOT NULL AND held.last_run_id = :run_id
        AND old.connection_id = held.connection_id AND old.stream = held.stream AND old.key = held.key
""")


def keep(cursor: Cursor[Any], most: int) -> None:
    """Keep what the rows in `staged` are about to replace: of each record, `most` versions; 0: none."""
    if most and cursor.execute(_KEEP, (most,)).fetchone() == (True,):
        cursor.execute(_TRIM)


def forget(connection: Connection, connection_id: int) -> None:
    """Drop all of a connection that is being removed."""
    connection.execute(_FORGET, {"id": connection_id})


def forget_deleted(connection: Connection, connection_id: int, run_id: int) -> None:
    """Drop those of the records that were deleted as this run found it: their last content is all that stays."""
    connection.execute(_FORGET_DELETED, {"id": connection_id, "run_id": run_id})
