"""Liveness in PostgreSQL: the loop of each worker leaves a mark there, and a probe asks for it.

python -m pdpp_worker.tasks.alive NODE     for example control@my-host

A broker or a database that is away is no reason to start a worker again, so the probe then finds nothing wrong.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import Any

from celery import bootsteps

from pdpp_worker.store import process_marks
from pdpp_worker.store.engine import Database
from pdpp_worker.store.process_marks import AWAY
from pdpp_worker.tasks.ending import live_runs
from pdpp_worker.tasks.services import database

EVERY_S = 30.0
SILENT_S = 120.0
"""A loop that has left no mark for so long does not turn any more."""


class MarkStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Marks the process from the timer of the loop that takes messages; in a thread, as the database may be away."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **_: Any) -> None:
        self._writing = threading.Lock()
        super().__init__(consumer)

    def start(self, consumer: Any) -> None:
        """Mark now, and every few seconds from now on."""
        self._mark(consumer.hostname)
        consumer.timer.call_repeatedly(EVERY_S, self._mark, (consumer.hostname,))

    def _mark(self, name: str) -> None:
        if self._writing.acquire(blocking=False):
            threading.Thread(target=self._write, args=(name,), name="mark", daemon=True).start()

    def _write(self, name: str) -> None:
        try:
            with suppress(*AWAY):
                with database().begin() as connection:
                    process_marks.set_mark(connection, name, len(live_runs.stuck))
                if not live_runs.live:
                    database().rest()
        finally:
            self._writing.release()


def why_dead(db: Database, node: str) -> str | None:
    """A sentence about what is wrong with the worker of this name; None: nothing is, or nobody can tell."""
    try:
        with db.begin() as connection:
            mark = process_marks.read(connection, node)
    except AWAY:
        return None
    if mark is None or mark.age_s > SILENT_S:
        return f"{node} has given no sign of life" + (f" for {mark.age_s:.0f} s." if mark else ".")
    return f"{node}: {mark.stuck} threads do not come back." if mark.stuck else None


def main(node: str) -> None:
    """Exit with a sentence and status 1 when the worker is dead."""
    try:
        db = database()
    except AWAY:
        sys.exit(0)
    sys.exit(why_dead(db, node))


if __name__ == "__main__":
    main(*sys.argv[1:])
