"""What is due: schedules become runs, and runs that wait for a worker are rung. Any number of dispatchers may tick."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.scheduling import next_time
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, runs, schedules
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.runs import Ring

PAGE = 500
RUNG_LATELY = 0.9
"""The share of the dispatcher's period in which a run is not rung again, so that the next tick does, though early."""

_spread = random.SystemRandom()


def dispatch(settings: Settings, db: Database) -> list[Ring]:
    """Queue a run for every schedule that is due, and take the runs that wait for a worker.

    A run that was rung within the dispatcher's period is not rung again.
    """
    _start_scheduled(db)
    with db.begin() as connection:
        return runs.take_due(connection, PAGE, timedelta(seconds=RUNG_LATELY * settings.dispatch_every_s))


def full_scope(connector: registry.Connector, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scope of a run that collects all that the connector supplies to a connection with these settings."""
    return [{"name": stream.name} for stream in connector.manifest.supplied_to(settings)]


def request_run(db: Database, row: ConnectionRow, *, trigger: str, full: bool = False) -> tuple[int, bool]:
    """Queue a run that walks all streams; returns the run's id, and whether it is new.

    Raises:
        NotFoundError: the connector of the connection is not installed.
    """
    connector = registry.get(row.connector)
    with db.begin() as connection:
        return runs.create(
            connection,
            row.id,
            trigger=trigger,
            mode="full_refresh" if full else "incremental",
            streams=full_scope(connector, row.settings),
            version=connector.manifest.version,
        )


def _start_scheduled(db: Database) -> None:
    with db.begin() as connection:
        for due in schedules.claim_due(connection, PAGE):
            following = next_time(due.now, every_s=due.every_s, cron=due.cron, jitter_s=due.jitter_s, spread=_spread)
            schedules.advance(connection, due.connection_id, following)
            try:
                connector = registry.get(due.connector)
            except ConfigurationError as error:
                get_logger().error("cannot be scheduled", connector=due.connector, error=str(error))
                continue
            runs.create(
                connection,
                due.connection_id,
                trigger="schedule",
                streams=full_scope(connector, connections.by_id(connection, due.connection_id).settings),
                version=connector.manifest.version,
            )
