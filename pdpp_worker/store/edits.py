"""Changes that an owner makes to a connection that exists."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, text, update
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store.connections import lock
from pdpp_worker.store.tables import connections

# In SQL, so that two who change different settings at once both do.
_CHANGE = text("""
    UPDATE connections SET settings = jsonb_strip_nulls(settings || :changes) WHERE id = :id
""").bindparams(bindparam("changes", type_=JSONB))

_REWRITE = text("""
    UPDATE connections SET credentials = credentials || :credentials WHERE id = :id
""").bindparams(bindparam("credentials", type_=JSONB))


def change_settings(connection: Connection, connection_id: int, changes: dict[str, Any]) -> None:
    """Lay changes over the settings; None takes one away, which is then the default.

    Raises:
        NotFoundError: the connection was removed meanwhile.
    """
    lock(connection, connection_id)
    connection.execute(_CHANGE, {"id": connection_id, "changes": changes})


def set_settings(connection: Connection, connection_id: int, settings: dict[str, Any]) -> None:
    """Replace the settings."""
    connection.execute(update(connections).where(connections.c.id == connection_id).values(settings=settings))


def rewrite_credentials(connection: Connection, connection_id: int, credentials: dict[str, str]) -> None:
    """Lay another form of the same credentials over those that are held; nobody has to sign in anew."""
    connection.execute(_REWRITE, {"id": connection_id, "credentials": credentials})


def set_min_interval(connection: Connection, connection_id: int, min_interval_ms: float | None) -> None:
    """Set the connection's own rate ceiling, ms between requests; None: the connector's."""
    values = {"min_interval_ms": min_interval_ms}
    connection.execute(update(connections).where(connections.c.id == connection_id).values(values))


def set_as_fleet_user(connection: Connection, connection_id: int, allowed: bool) -> None:
    """Let the connection's program run as the fleet's user where another one cannot run it, or no longer."""
    values = {"as_fleet_user": allowed}
    connection.execute(update(connections).where(connections.c.id == connection_id).values(values))
