"""Connections: one account of one owner at one platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.store import leases, record_index, record_versions, removals
from pdpp_worker.store.gaps import credentials as gap_credentials
from pdpp_worker.store.tables import connections, records, schedules

_SET_CREDENTIALS = text("""
    UPDATE connections SET credentials = credentials || :given, credentials_version = credentials_version + 1
    WHERE id = :id
""").bindparams(bindparam("given", type_=JSONB))


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


def get(connection: Connection, name: str) -> ConnectionRow:
    """The connection of that name.

    Raises:
        NotFoundError: naming the connections that exist.
    """
    row = connection.execute(select(connections).where(connections.c.name == name)).mappings().one_or_none()
    if row is not None:
        return _row(row)
    known = [each.name for each in list_all(connection)]
    hint = f"known: {', '.join(known)}" if known else "there is none yet; add one with: pdpp-worker connection add"
    raise NotFoundError(f"There is no connection named {name!r} ({hint}).")


def by_id(connection: Connection, connection_id: int) -> ConnectionRow:
    """The connection with that id.

    Raises:
        NotFoundError: it was removed.
    """
    row = connection.execute(select(connections).where(connections.c.id == connection_id)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"Connection {connection_id} was removed.")
    return _row(row)


def list_all(connection: Connection, connector: str | None = None) -> list[ConnectionRow]:
    """All connections by name, or those of one connector."""
    query = select(connections).order_by(connections.c.name)
    if connector is not None:
        query = query.where(connections.c.connector == connector)
    return [_row(row) for row in connection.execute(query).mappings()]


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
    record_versions.forget(connection, connection_id)
    gone = connection.execute(delete(records).where(records.c.connection_id == connection_id)).rowcount
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


def _row(row: RowMapping) -> ConnectionRow:
    return ConnectionRow(**{name: row[name] for name in ConnectionRow.__dataclass_fields__})
