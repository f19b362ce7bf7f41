"""An owner's word on deletions that wait for it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from pdpp_worker.store import doubts, events, leases, record_versions
from pdpp_worker.store.children import Children

_WAITING = text("""
    SELECT stream, array_agg(key) AS keys, max(last_run_id) AS run_id FROM deletion_doubts
    WHERE connection_id = :connection_id AND state = 'waiting'
        AND (CAST(:stream AS text) IS NULL OR stream = :stream)
    GROUP BY stream ORDER BY stream
""")
_KEEP = text("""
    WITH changed AS (
        UPDATE deletion_doubts SET state = 'kept'
        WHERE connection_id = :connection_id AND state = 'waiting'
            AND (CAST(:stream AS text) IS NULL OR stream = :stream)
        RETURNING stream
    ) SELECT stream, count(*) AS records FROM changed GROUP BY stream ORDER BY stream
""")


def confirm(connection: Connection, connection_id: int, stream: str | None, children: Children) -> int:
    """Delete what waits, of one stream or of all, with what belongs to it; returns how many records waited.

    Their earlier versions go as well.
    """
    leases.lock(connection, [connection_id])
    rows = connection.execute(_WAITING, {"connection_id": connection_id, "stream": stream}).all()
    deleted = 0
    for row in rows:
        if count := doubts.delete(connection, connection_id, row.run_id, row.stream, row.keys, children):
            deleted += _told(connection, connection_id, "deletions_confirmed", row.stream, count)
            record_versions.forget_deleted(connection, connection_id, row.run_id)
    return deleted


def keep(connection: Connection, connection_id: int, stream: str | None) -> int:
    """Keep what waits, of one stream or of all, until a walk meets it again; returns how many records."""
    leases.lock(connection, [connection_id])
    rows = connection.execute(_KEEP, {"connection_id": connection_id, "stream": stream}).all()
    return sum(_told(connection, connection_id, "deletions_kept", row.stream, row.records) for row in rows)


def _told(connection: Connection, connection_id: int, event: str, stream: str, count: int) -> int:
    events.append(connection, connection_id, None, [(event, stream, {"count": count})])
    return count
