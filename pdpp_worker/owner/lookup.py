"""Connections by the names that an owner gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdpp_worker import registry
from pdpp_worker.errors import NotFoundError
from pdpp_worker.store.connection_rows import ConnectionRow, by_id, list_all
from pdpp_worker.store.connection_rows import get as find

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["ConnectionRow", "by_id", "find", "list_all", "targets"]


def targets(connection: Connection, name: str) -> list[ConnectionRow]:
    """The connection of that name, else all connections of the connector of that name.

    Raises:
        NotFoundError: the name is neither.
    """
    found = [row for row in list_all(connection) if row.name == name] or list_all(connection, name)
    if found:
        return found
    if name in registry.all_connectors():
        raise NotFoundError(f"There is no connection of the connector {name} yet; see: pdpp-worker connection add")
    known = ", ".join(row.name for row in list_all(connection)) or "none"
    raise NotFoundError(f"{name!r} is neither a connection ({known}) nor a connector that one uses.")
