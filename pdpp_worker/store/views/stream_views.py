"""Streams that are computed from the records held, by a query that the connector ships.

They are computed when they are asked for, so they are as right as the records are at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from pdpp_worker.store.views.record_views import PAGE, ExportedRecord

_READ_ONLY = text("SET TRANSACTION READ ONLY")
# The name `records` means the records of this connection alone, without those that the source has deleted.
_ROWS = """
    WITH records AS (
        SELECT stream, key, data, emitted_at FROM records WHERE connection_id = :id AND deleted_at IS NULL
    )
    SELECT key, data::text AS json, emitted_at FROM (
{query}
    ) AS computed ORDER BY key
"""


def records(connection: Connection, connection_id: int, query: str) -> Iterator[ExportedRecord]:
    """The rows of a view by key, streamed from the server; the transaction can write nothing from then on.

    `query` is one SELECT over `records (stream, key, data, emitted_at)` that gives `key`, `data` and `emitted_at`.
    """
    connection.execute(_READ_ONLY)
    statement = text(_ROWS.format(query=query.replace(":", r"\:")))
    streamed = statement.execution_options(stream_results=True, yield_per=PAGE)
    for row in connection.execute(streamed, {"id": connection_id}):
        yield ExportedRecord(row.key, row.json, row.emitted_at, None)
