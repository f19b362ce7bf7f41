"""Say aloud which connections stand still: an event when one does and when it moves again."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from pdpp_worker import registry
from pdpp_worker.coverage.stillness import stillness
from pdpp_worker.isolation import each
from pdpp_worker.logs import get_logger
from pdpp_worker.store import standstills
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import reading, wait_views
from pdpp_worker.store.views.wait_views import Waits


def watch(db: Database) -> list[str]:
    """Look at every connection; returns the names of those that stand still. Any number of watchdogs may look."""
    installed = registry.all_connectors().keys()
    with db.begin() as connection:
        found, now = wait_views.read(connection), reading.now(connection)

    def look(one: Waits) -> tuple[str, bool]:
        return one.connection, _look(db, one, installed=one.connector in installed, now=now)

    return [name for name, still in each("cannot be watched", found, look, name=attrgetter("connection_id")) if still]


def _look(db: Database, one: Waits, *, installed: bool, now: datetime) -> bool:
    still = stillness(one, installed=installed, now=now)
    cause = still.cause.value if still else None
    data = {"since": still.since.isoformat(), "run": still.run_id, "because": still.because} if still else {}
    if cause != one.still_cause:
        with db.begin() as connection:
            changed = standstills.note(connection, one.connection_id, cause, data)
        if changed and still is not None:
            get_logger().warning("connection stands still", connection=one.connection, cause=cause, **data)
    return still is not None
