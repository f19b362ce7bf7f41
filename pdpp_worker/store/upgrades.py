"""Gaps that wait for a newer version of their connector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text


class Waiting(NamedTuple):
    """Gaps of one connection that wait for the same version."""

    connection_id: int
    connector: str
    seen: str
    """The version that met the gaps last."""
    required: str | None
    """The version that mends them, where the connector knew it."""


_WAITING = text("""
    SELECT DISTINCT gaps.connection_id, connections.connector, connector_version_seen, connector_version_required
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE recovery_kind = 'retry_on_connector_upgrade' AND gaps.status = 'open' AND next_attempt_at IS NULL
""")
_TRIED = text("""
    SELECT
        EXISTS (SELECT 1 FROM gaps WHERE connection_id = :connection_id AND status = 'open'
            AND recovery_kind = 'retry_on_connector_upgrade'
            AND (next_attempt_at IS NOT NULL OR (connector_version_seen = :version AND attempts > 1))) AS tried,
        EXISTS (SELECT 1 FROM gaps JOIN runs ON runs.id = gaps.last_run_id
            WHERE gaps.connection_id = :connection_id AND recovery_kind = 'retry_on_connector_upgrade'
            AND gaps.closed_at IS NOT NULL AND runs.connector_version = :version) AS healed
""")
_MAKE_DUE = text("""
    UPDATE gaps SET next_attempt_at = clock_timestamp() WHERE id IN (
        SELECT id FROM gaps
        WHERE connection_id = :connection_id AND recovery_kind = 'retry_on_connector_upgrade' AND status = 'open'
            AND next_attempt_at IS NULL AND connector_version_seen = ANY(:seen)
        ORDER BY opened_at, id LIMIT :limit
    )
""")


def waiting(connection: Connection) -> list[Waiting]:
    """What waits for which versions."""
    return [Waiting(*row) for row in connection.execute(_WAITING)]


def has_been_tried(connection: Connection, connection_id: int, version: str) -> tuple[bool, bool]:
    """Whether a version is trying, or has tried, gaps of the connection; and whether it healed any."""
    row = connection.execute(_TRIED, {"connection_id": connection_id, "version": version}).one()
    return row.tried, row.healed


def make_due(connection: Connection, connection_id: int, seen: Sequence[str], limit: int) -> int:
    """Let up to `limit` gaps that these versions met be tried now, oldest first; returns how many."""
    values = {"connection_id": connection_id, "seen": list(seen), "limit": limit}
    return connection.execute(_MAKE_DUE, values).rowcount
