"""Connections as they are stored, for those who read them; needs nothing that changes one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdpp_worker.errors import NotFoundError
from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection

_BY_NAME = text("SELECT * FROM connections WHERE name = :name")
_BY_ID = text("SELECT * FROM connections WHERE id = :id")
_ALL = text("""
    SELECT * FROM connections WHERE CAST(:connector AS text) IS NULL OR connector = :connector ORDER BY name
""")


@dataclass(frozen=True)
class ConnectionRow:
    """A connection as stored; `credentials` are references or ciphertext, never plain."""

    id: int
    name: str
    connector: str
    settings: dict[str, Any]
    credentials: dict[str, str]
    min_interval_ms: float | None
    created_at: datetime
    credentials_version: int = 0
    """Grows with every change of the credentials, and with every sign-in."""
    as_fleet_user: bool = False
    """Whether its connector, if that is a program, may run as the fleet's user where another one cannot run it."""
    account_identity: str | None = None
    account_label: str | None = None
    """The account at the source that it reads; None: none was met yet."""
    other_identity: str | None = None
    """Another account that was met since, and waits for the owner's word."""


def get(connection: Connection, name: str) -> ConnectionRow:
    """The connection of that name.

    Raises:
        NotFoundError: naming the connections that exist.
    """
    row = connection.execute(_BY_NAME, {"name": name}).mappings().one_or_none()
    if row is not None:
        return build(ConnectionRow, row)
    known = [each.name for each in list_all(connection)]
    hint = f"known: {', '.join(known)}" if known else "there is none yet; add one with: pdpp-worker connection add"
    raise NotFoundError(f"There is no connection named {name!r} ({hint}).")


def by_id(connection: Connection, connection_id: int) -> ConnectionRow:
    """The connection with that id.

    Raises:
        NotFoundError: it was removed.
    """
    row = connection.execute(_BY_ID, {"id": connection_id}).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"Connection {connection_id} was removed.")
    return build(ConnectionRow, row)


def list_all(connection: Connection, connector: str | None = None) -> list[ConnectionRow]:
    """All connections by name, or those of one connector."""
    return [build(ConnectionRow, row) for row in connection.execute(_ALL, {"connector": connector}).mappings()]
