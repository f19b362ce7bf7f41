"""What is due: schedules become runs, and runs that wait for a worker are rung. Any number of dispatchers may tick."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.isolation import each, reason
from pdpp_worker.scheduling import next_time
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, leases, runs, schedules
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.runs import Ring
from pdpp_worker.store.schedules import Due

PAGE = 500
AGAIN_S = 900.0
"""A connection for which no run could be started is looked at again after so long."""
WITHOUT_A_TIME = timedelta(days=1)
"""A schedule from which no next time follows is followed once a day."""
RUNG_LATELY = 0.9
"""The share of the dispatcher's period in which a run is not rung again, so that the next tick does, though early."""

_spread = random.SystemRandom()


def dispatch(settings: Settings, db: Database) -> list[Ring]:
    """Queue a run for every schedule that is due, and take the runs that wait for a worker.

    A run that was rung within the dispatcher's period is not rung again.
    """
    _start_scheduled(db)
    again = timedelta(seconds=RUNG_LATELY * settings.dispatch_every_s)
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
    each("cannot be scheduled", due, lambda connection_id: _start_one(db, connection_id), name=int)


def _start_one(db: Database, connection_id: int) -> None:
    """Start what is due of one connection; a failure is kept with its schedule, where its owner sees it."""
    try:
        db.transact(lambda connection: _start(connection, connection_id))
    except Exception as error:
        why = reason(error)
        db.transact(lambda connection: schedules.put_off(connection, connection_id, AGAIN_S, why))
        raise


def _start(connection: Connection, connection_id: int) -> None:
    due = schedules.claim(connection, connection_id)
    if due is None:
        return
    connector = registry.get(due.connector)
    runs.create(
        connection,
        connection_id,
        trigger="schedule",
        streams=full_scope(connector, connections.by_id(connection, connection_id).settings),
        version=connector.manifest.version,
    )
    schedules.advance(connection, connection_id, *_following(due))


def _following(due: Due) -> tuple[datetime, str | None]:
    """The next time, and why it is not the one that the owner set, if none follows from that."""
    try:
        return (
            next_time(due.now, every_s=due.every_s, cron=due.cron, jitter_s=due.jitter_s, spread=_spread),
            None,
        )
    except ConfigurationError as error:
        return due.now + WITHOUT_A_TIME, str(error)
