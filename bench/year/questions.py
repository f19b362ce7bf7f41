"""The questions that are asked again and again, through the functions that ask them in earnest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection, event

from pdpp_worker.coverage import all_streams, cards, outlook
from pdpp_worker.recovery import sweep
from pdpp_worker.settings import Settings
from pdpp_worker.store import runs, schedules
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.views import event_views, fleet_views, rate_views, reading, run_views, wait_views

Question = Callable[[Connection], object]
LATEST = 20


def _status(connection: Connection) -> object:
    return all_streams.read(connection, outlook.read(Settings(), connection))


def _home(connection: Connection) -> object:
    return cards.read(connection, outlook.read(Settings(), connection))


def _rates(connection: Connection) -> object:
    now = reading.now(connection)
    return rate_views.history(connection, 1, now - timedelta(hours=24), now)


QUESTIONS: dict[str, Question] = {
    "dispatch: schedules that are due": lambda connection: schedules.due(connection, 500),
    "dispatch: runs that are due": lambda connection: runs.take_due(connection, 500, timedelta(seconds=27)),
    "sweep: connections with due gaps": lambda connection: due_gaps.due_connections(connection, sweep.PAGE),
    "watchdog": wait_views.read,
    "metrics": fleet_views.read,
    "doctor: stuck threads": event_views.stuck_lately,
    "status and report": _status,
    "console: home": _home,
    "console: runs": lambda connection: run_views.latest(connection, None, LATEST),
    "console: runs of one": lambda connection: run_views.latest(connection, 1, LATEST),
    "console: events": lambda connection: event_views.latest(connection, None, after=-1, limit=LATEST),
    "console: rates of a day": _rates,
}


@dataclass(frozen=True)
class Answered:
    """How long a question took (median, ms), and how many pages of 8 KB the server looked at for it."""

    question: str
    ms: float
    pages: int


def ask(db: Database, name: str, times: int) -> Answered:
    """Ask a question several times; nothing that it changes stays."""
    took = []
    for _ in range(times):
        with db.engine.connect() as connection:
            began = time.perf_counter()
            QUESTIONS[name](connection)
            took.append(1000 * (time.perf_counter() - began))
            connection.rollback()
    return Answered(name, median(took) if took else 0.0, pages_read(db, QUESTIONS[name]))


def pages_read(db: Database, question: Question) -> int:
    """The pages that the server looks at for a question, from EXPLAIN of the very statements that it sends."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        sent.append((statement, parameters))

    with db.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", note)
        question(connection)
        event.remove(connection, "before_cursor_execute", note)
        connection.rollback()
        plans = [_plan(connection, statement, parameters) for statement, parameters in sent]
        connection.rollback()
    return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans)


def _plan(connection: Connection, statement: str, parameters: Any) -> dict[str, Any]:
    explained = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}"
    [plan] = connection.exec_driver_sql(explained, parameters).scalar_one()
    found: dict[str, Any] = plan["Plan"]
    return found
