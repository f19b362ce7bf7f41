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

# Rows of a batch that change something are in `staged`; a deletion has no content of its own there.
_KEEP = f"""
    INSERT INTO record_versions (connection_id, stream, key, place, data, raw, bytes, partial, emitted_at, deleted_at,
        run_id, connector_version, replaced_by_run_id)
    SELECT held.connection_id, held.stream, held.key, coalesce(latest.place, 0) + 1,
        CASE WHEN size.bytes <= {BYTES} THEN held.data END, CASE WHEN size.bytes <= {BYTES} THEN held.raw END,
        size.bytes, held.partial, held.emitted_at, held.deleted_at, held.last_run_id, runs.connector_version,
        staged.last_run_id
    FROM staged JOIN records AS held USING (connection_id, stream, key)
    LEFT JOIN runs ON runs.id = held.last_run_id
    CROSS JOIN LATERAL (
        SELECT max(place) AS place FROM record_versions AS old WHERE old.connection_id = held.connection_id
            AND old.stream = held.stream AND old.key = held.key) AS latest
    CROSS JOIN LATERAL (SELECT pg_column_size(held.data) + coalesce(pg_column_size(held.raw), 0) AS bytes) AS size
    WHERE staged.data IS NOT NULL AND staged.content_hash <> held.content_hash
"""
_TRIM = f"""
    DELETE FROM record_versions AS old USING (
        SELECT connection_id, stream, key, place, row_number() OVER newest AS position,
            sum(bytes) FILTER (WHERE record_versions.data IS NOT NULL) OVER newest AS bytes
        FROM record_versions JOIN staged USING (connection_id, stream, key)
        WINDOW newest AS (PARTITION BY connection_id, stream, key ORDER BY place DESC)
    ) AS ranked
    WHERE old.connection_id = ranked.connection_id AND old.stream = ranked.stream AND old.key = ranked.key
        AND old.place = ranked.place AND (position > %s OR ranked.bytes > {BYTES})
"""
_FORGET = text("DELETE FROM record_versions WHERE connection_id = :id")


def keep(cursor: Cursor[Any], most: int) -> None:
    """Keep what the rows in `staged` are about to replace: of each record, `most` versions; 0: none."""
    if most and cursor.execute(_KEEP).rowcount:
        cursor.execute(_TRIM, (most,))


def forget(connection: Connection, connection_id: int) -> None:
    """Drop all of a connection that is being removed."""
    connection.execute(_FORGET, {"id": connection_id})
