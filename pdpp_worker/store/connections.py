"""Connections: one account of one owner at one platform."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store import leases, record_index, record_versions, removals
from pdpp_worker.store.connection_rows import ConnectionRow, by_id, get, list_all
from pdpp_worker.store.gaps import credentials as gap_credentials
from pdpp_worker.store.tables import connections, records, schedules

__all__ = [
    "ConnectionRow",
    "add",
    "by_id",
    "credentials_version",
    "get",
    "list_all",
    "lock",
    "pause",
    "remove",
    "require_free",
    "schedule",
    "set_credentials",
]

_SET_CREDENTIALS = text("""
    UPDATE connections SET credentials = credentials || :given, credentials_version = credentials_version + 1
    WHERE id = :id
""").bindparams(bindparam("given", type_=JSONB))


def add(
    connection: Connection,
    name: str,
    connector: str,
    settings: dict[str, Any],
    credentials: dict[str, str],
    min_interval_ms: float | None = None,
) -> int:
    """Store a new connection and return its id.

    Raises:
        ConfigurationError: the name is taken.
    """
    values = {
        "name": name,
        "connector": connector,
        "settings": settings,
        "credentials": credentials,
        "min_interval_ms": min_interval_ms,
    }
    try:
        with connection.begin_nested():
            new = connection.execute(insert(connections).values(values).returning(connections.c.id)).scalar_one()
    except IntegrityError:
        raise _taken(name) from None
    leases.create(connection, new)
    return int(new)


def require_free(connection: Connection, name: str) -> None:
    """Refuse a name that a connection has.

    Raises:
        ConfigurationError: the name is taken.
    """
    if connection.execute(select(connections.c.id).where(connections.c.name == name)).first() is not None:
        raise _taken(name)


def _taken(name: str) -> ConfigurationError:
    return ConfigurationError(f"A connection named {name!r} exists already; choose another name.")


def lock(connection: Connection, connection_id: int) -> None:
    """Let nobody else change the connection in the time of this transaction.

    Raises:
        NotFoundError: it was removed meanwhile.
    """
    leases.lock(connection, [connection_id])
    by_id(connection, connection_id)


def set_credentials(connection: Connection, connection_id: int, credentials: dict[str, str]) -> None:
    """Lay these credentials over those that are held; gaps that waited for the owner's sign-in become due.

    They are another version from then on, even where none is given: a sign-in in the browser counts too.

    Raises:
        NotFoundError: the connection was removed meanwhile.
    """
    lock(connection, connection_id)
    gap_credentials.renewed(connection, connection_id)
    connection.execute(_SET_CREDENTIALS, {"id": connection_id, "given": credentials})


def credentials_version(connection: Connection, connection_id: int) -> int:
    """The version of the credentials that are held now."""
    query = select(connections.c.credentials_version).where(connections.c.id == connection_id)
    return int(connection.execute(query).scalar_one())


def remove(connection: Connection, connection_id: int) -> int:
    """Remove a connection with all that is held for it; returns how many records went with it.

    Its lease is locked first: that waits for a worker which is writing, and goes with the rest. Hosts drop
    what they keep outside of the database themselves, by the note that is left of it.
    """
    leases.lock(connection, [connection_id])
    record_index.forget(connection, connection_id)
    gone = connection.execute(delete(records).where(records.c.connection_id == connection_id)).rowcount
    record_versions.forget(connection, connection_id)
    connection.execute(delete(connections).where(connections.c.id == connection_id))
    removals.note(connection, connection_id)
    return int(gone)


def schedule(
    connection: Connection,
    connection_id: int,
    *,
    every_s: float | None,
    cron: str | None,
    jitter_s: float,
    next_run_at: datetime,
) -> None:
    """Set when the connection is collected: an interval or a cron line.

    Raises:
        NotFoundError: the connection was removed meanwhile.
    """
    lock(connection, connection_id)
    values = {"every_s": every_s, "cron": cron, "jitter_s": jitter_s, "next_run_at": next_run_at, "error": None}
    changed = connection.execute(
        update(schedules).where(schedules.c.connection_id == connection_id).values(values)
    ).rowcount
    if not changed:
        connection.execute(insert(schedules).values(connection_id=connection_id, **values))


def pause(connection: Connection, connection_id: int, paused: bool) -> None:
    """Stop or resume scheduled runs."""
    connection.execute(update(schedules).where(schedules.c.connection_id == connection_id).values(paused=paused))
