"""What an owner changes about a connection that exists."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, update

from pdpp_worker.store.tables import connections


def set_settings(connection: Connection, connection_id: int, settings: dict[str, Any]) -> None:
    """Replace the settings."""
    connection.execute(update(connections).where(connections.c.id == connection_id).values(settings=settings))


def set_min_interval(connection: Connection, connection_id: int, min_interval_ms: float | None) -> None:
    """Set the connection's own rate ceiling, ms between requests; None: the connector's."""
    values = {"min_interval_ms": min_interval_ms}
    connection.execute(update(connections).where(connections.c.id == connection_id).values(values))
