"""What is due: schedules become runs, and runs that wait for a worker are rung. Any number of dispatchers may tick."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.scheduling import next_time
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, leases, runs, schedules
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.runs import Ring

PAGE = 500

_spread = random.SystemRandom()


def dispatch(settings: Settings, db: Database) -> list[Ring]:
    """Queue a run for every schedule that is due, and take the runs that wait for a worker.

    A run that was rung within the dispatcher's period is not rung again.
    """
    _start_scheduled(db)
    again = timedelta(seconds=settings.dispatch_every_s)
    return db.transact(lambda connection: runs.take_due(connection, PAGE, again))


def full_scope(connector: registry.Connector, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scope of a run that collects all that the connector supplies to a connection with these settings."""
    return [{"name": stream.name} for stream in connector.manifest.supplied_to(settings)]


def request_run(db: Database, row: ConnectionRow, *, trigger: str, full: bool = False) -> tuple[int, bool]:
    """Queue a run that walks all streams; returns the run's id, and whether it is new.

    Raises:
        NotFoundError: the connector of the connection is not installed, or the connection was removed.
    """
    connector = registry.get(row.connector)

    def create(connection: Connection) -> tuple[int, bool]:
        leases.lock(connection, [row.id])
        return runs.create(
            connection,
            row.id,
            trigger=trigger,
            mode="full_refresh" if full else "incremental",
            streams=full_scope(connector, connections.by_id(connection, row.id).settings),
            version=connector.manifest.version,
        )

    return db.transact(create)


def _start_scheduled(db: Database) -> None:
    with db.begin() as connection:
        due = schedules.due(connection, PAGE)
    for connection_id in due:
        db.transact(partial(_start_one, connection_id=connection_id))


def _start_one(connection: Connection, connection_id: int) -> None:
    due = schedules.claim(connection, connection_id)
    if due is None:
        return
    following = next_time(due.now, every_s=due.every_s, cron=due.cron, jitter_s=due.jitter_s, spread=_spread)
    try:
        connector = registry.get(due.connector)
    except ConfigurationError as error:
        get_logger().error("cannot be scheduled", connector=due.connector, error=str(error))
    else:
        runs.create(
            connection,
            due.connection_id,
            trigger="schedule",
            streams=full_scope(connector, connections.by_id(connection, due.connection_id).settings),
            version=connector.manifest.version,
        )
    schedules.advance(connection, due.connection_id, following)
