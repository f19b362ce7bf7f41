"""Records on their way out, exactly as they came in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

PAGE = 200
"""Records held at once."""


class ExportedRecord(NamedTuple):
    """One record; `json` is its data as JSON text, characters that PostgreSQL cannot hold as escapes."""

    key: str
    json: str
    emitted_at: datetime
    deleted_at: datetime | None


_RECORDS = text("""
    SELECT key, coalesce(convert_from(raw, 'UTF8'), data::text) AS json, emitted_at, deleted_at
    FROM records WHERE connection_id = :id AND stream = :stream AND (:deleted OR deleted_at IS NULL)
    ORDER BY key
""").execution_options(stream_results=True, yield_per=PAGE)
# Who reads may be slow, a pager say.
_WAIT_FOR_THE_READER = text("SET LOCAL idle_in_transaction_session_timeout = 0")
# One probe of the index for each stream, where DISTINCT would read every record.
_STREAMS = text("""
    WITH RECURSIVE held AS (
        (SELECT stream FROM records WHERE connection_id = :id ORDER BY stream LIMIT 1)
        UNION ALL
        SELECT (SELECT stream FROM records WHERE connection_id = :id AND stream > held.stream ORDER BY stream LIMIT 1)
        FROM held WHERE held.stream IS NOT NULL
    )
    SELECT stream FROM held WHERE stream IS NOT NULL
""")
_HAS_STREAM = text("SELECT EXISTS (SELECT 1 FROM records WHERE connection_id = :id AND stream = :stream)")


def records(connection: Connection, connection_id: int, stream: str, *, deleted: bool) -> Iterator[ExportedRecord]:
    """The records of a stream by key, streamed from the server; with `deleted`, those that the source removed too."""
    values = {"id": connection_id, "stream": stream, "deleted": deleted}
    connection.execute(_WAIT_FOR_THE_READER)
    for row in connection.execute(_RECORDS, values):
        yield ExportedRecord(*row)


def has_stream(connection: Connection, connection_id: int, stream: str) -> bool:
    """Whether anything is kept of that stream."""
    return bool(connection.execute(_HAS_STREAM, {"id": connection_id, "stream": stream}).scalar_one())


def held_streams(connection: Connection, connection_id: int) -> list[str]:
    """The streams of which anything is kept, by name."""
    return list(connection.execute(_STREAMS, {"id": connection_id}).scalars())
