"""Queues a run that walks all streams of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.store import connections, leases, runs
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database


def full_scope(connector: registry.Connector, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scope of a run that collects all that the connector supplies to a connection with these settings."""
    return [{"name": stream.name} for stream in connector.manifest.supplied_to(settings)]


def queue(
    connection: Connection, connection_id: int, connector: registry.Connector, *, trigger: str, full: bool = False
) -> tuple[int, bool]:
    """Queue the run, or find the one that is active; returns the run's id, and whether it is new."""
    return runs.create(
        connection,
        connection_id,
        trigger=trigger,
        mode="full_refresh" if full else "incremental",
        streams=full_scope(connector, connections.by_id(connection, connection_id).settings),
        version=connector.manifest.version,
    )


def request_run(db: Database, row: ConnectionRow, *, trigger: str, full: bool = False) -> tuple[int, bool]:
    """Queue a run in a transaction of its own; returns the run's id, and whether it is new.

    Raises:
        NotFoundError: the connector of the connection is not installed, or the connection was removed.
    """
    connector = registry.get(row.connector)

    def create(connection: Connection) -> tuple[int, bool]:
        leases.lock(connection, [row.id])
        return queue(connection, row.id, connector, trigger=trigger, full=full)

    return db.transact(create)
