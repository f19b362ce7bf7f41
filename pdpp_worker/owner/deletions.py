"""Deletions that wait for the owner: confirmed or refused."""

from __future__ import annotations

from pdpp_worker import registry
from pdpp_worker.owner.lookup import find
from pdpp_worker.store import doubts_by_owner
from pdpp_worker.store.engine import Database


def confirm(db: Database, name: str, stream: str | None) -> int:
    """Delete what waits of a connection, with what belongs to it; returns how many records.

    Raises:
        NotFoundError: there is no such connection.
        ConfigurationError: its connector is not installed, so that nobody knows what belongs to the records.
    """
    with db.begin() as connection:
        row = find(connection, name)
    children = registry.get(row.connector).manifest.children
    return db.transact(lambda connection: doubts_by_owner.confirm(connection, row.id, stream, children))


def keep(db: Database, name: str, stream: str | None) -> int:
    """Keep what waits of a connection until a walk meets it again; returns how many records.

    Raises:
        NotFoundError: there is no such connection.
    """
    return db.transact(lambda connection: doubts_by_owner.keep(connection, find(connection, name).id, stream))
