"""Deletions that wait for the owner: confirmed or refused."""

from __future__ import annotations

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.owner import audit
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

    def apply(connection: Connection) -> int:
        count = doubts_by_owner.confirm(connection, row.id, stream, children)
        audit.note(connection, "deletions.confirm", row, stream=stream, records=count)
        return count

    return db.transact(apply)


def keep(db: Database, name: str, stream: str | None) -> int:
    """Keep what waits of a connection until a walk meets it again; returns how many records.

    Raises:
        NotFoundError: there is no such connection.
    """

    def apply(connection: Connection) -> int:
        row = find(connection, name)
        count = doubts_by_owner.keep(connection, row.id, stream)
        audit.note(connection, "deletions.keep", row, stream=stream, records=count)
        return count

    return db.transact(apply)
