"""One tick of the dispatcher: queues runs for due schedules, finds runs that wait for a worker.

Any number of dispatchers may tick at the same time.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.dispatch import run_requests
from pdpp_worker.dispatch.due_times import next_time
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.isolation import each, reason
from pdpp_worker.settings import Settings
from pdpp_worker.store import connector_queues, leases, runs, schedules
from pdpp_worker.store.engine import Database, why_away
from pdpp_worker.store.runs import DueRun
from pdpp_worker.store.schedules import Due

PAGE = 500
RETRY_AFTER_S = 900.0
"""Delay before a connection for which no run could be started is tried again, s."""
AGAIN_S = 1.0
"""Time until the next look for runs whose worker is gone, while there is one that is locked, s."""
WITHOUT_A_TIME = timedelta(days=1)
"""Period of a schedule from which no next time follows."""
NOTIFIED_LATELY = 0.9
"""Share of the dispatcher's period in which no second message is sent for a run. Below 1, so that the next tick sends
one even if it comes a little early."""

_spread = random.SystemRandom()


class Abandoned(NamedTuple):
    """Runs whose worker is gone, and the time until the next look, s; None: no lease is held."""

    runs: list[DueRun]
    next_s: float | None


def dispatch(settings: Settings, db: Database, waiting: Collection[str] = ()) -> list[DueRun]:
    """Queue a run for every schedule that is due; return the runs of which workers are to be told.

    They are told of a run once in the dispatcher's period, and not again while messages are `waiting` in its queue.
    """
    _start_scheduled(db)
    again = timedelta(seconds=NOTIFIED_LATELY * settings.dispatch_every_s)
    queues = {name: one.manifest.queue for name, one in registry.all_connectors().items()}
    ringing = [name for name, queue in queues.items() if queue in waiting]
    db.transact(lambda connection: connector_queues.keep(connection, queues))
    return db.transact(lambda connection: runs.take_due(connection, PAGE, again, ringing))


def take_over(db: Database) -> Abandoned:
    """The runs whose worker is gone, of which workers are to be told now and not only by the next tick."""

    def take(connection: Connection) -> Abandoned:
        taken = runs.take_abandoned(connection, PAGE)
        next_s = AGAIN_S if runs.any_abandoned(connection) else leases.next_end_s(connection)
        return Abandoned(taken, next_s)

    return db.transact(take)


def _start_scheduled(db: Database) -> None:
    with db.begin() as connection:
        due = schedules.due(connection, PAGE)
    each("cannot be scheduled", due, lambda connection_id: _start_one(db, connection_id), name=int)


def _start_one(db: Database, connection_id: int) -> None:
    """Queue the due run of one connection; a failure is stored with its schedule, where its owner sees it."""
    try:
        db.transact(lambda connection: _start(connection, connection_id))
    except Exception as error:
        if why_away(error) is not None:
            raise  # no fault of this connection, which stays due
        why = reason(error)
        db.transact(lambda connection: schedules.postpone(connection, connection_id, RETRY_AFTER_S, why))
        raise


def _start(connection: Connection, connection_id: int) -> None:
    due = schedules.claim(connection, connection_id)
    if due is None:
        return
    run_requests.queue(connection, connection_id, registry.get(due.connector), trigger="schedule")
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
