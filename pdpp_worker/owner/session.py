"""What a command works with: the settings and the database, at the schema that this version needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from pdpp_worker import logs, registry
from pdpp_worker.errors import NotFoundError
from pdpp_worker.local import endpoints
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store import connections, migrate
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database


@dataclass(frozen=True)
class Session:
    """Open for the time of one command."""

    settings: Settings
    db: Database


@contextmanager
def open_session(*, migrating: bool = False) -> Iterator[Session]:
    """The settings and the database.

    The embedded server's schema is brought up to date; on the owner's own server that is left to the owner, unless
    `migrating`.

    Raises:
        ConfigurationError: a setting is wrong, the database is out of reach, or its schema is of another version.
    """
    settings = get_settings()
    logs.configure(settings)
    registry.check_ceilings(settings)
    try:
        db = Database(endpoints.resolve(settings).database_url.get_secret_value())
        try:
            db.check()
            if migrating or settings.database_url is None:
                upgrade(db)
            migrate.require_current(db)
            yield Session(settings, db)
        finally:
            db.close()
    finally:
        endpoints.release()


def upgrade(db: Database) -> None:
    """Bring the schema to the version that this code needs.

    Raises:
        ConfigurationError: the schema was made by a newer version.
    """
    have, need = migrate.revisions(db)
    if have != need:
        migrate.upgrade(db)


def targets(connection: Connection, name: str) -> list[ConnectionRow]:
    """The connection of that name, else all connections of the connector of that name.

    Raises:
        NotFoundError: the name is neither.
    """
    found = [row for row in connections.list_all(connection) if row.name == name]
    found = found or connections.list_all(connection, name)
    if found:
        return found
    if name in registry.all_connectors():
        raise NotFoundError(f"There is no connection of the connector {name} yet; see: pdpp-worker connection add")
    known = ", ".join(row.name for row in connections.list_all(connection)) or "none"
    raise NotFoundError(f"{name!r} is neither a connection ({known}) nor a connector that one uses.")
