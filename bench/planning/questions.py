"""The questions of the fleet and of the owner, asked through the functions that ask them in earnest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Connection, event

from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.recovery import sweep
from pdpp_worker.settings import Settings
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.gaps.backlog import Backlog
from pdpp_worker.store.gaps.selection import GapFilter, ScopeKinds
from pdpp_worker.store.views import wait_views

Question = Callable[[Connection], object]


def _page(connection: Connection) -> object:
    claim = Claim(connection_id=1, run_id=2, token=1, holder="bench", lease_s=30)
    return Backlog(claim, ScopeKinds(), GapFilter()).lease(connection, due_gaps.PAGE)


def _coverage(connection: Connection) -> object:
    return all_streams.read(connection, outlook.read(Settings(), connection))


def _coverage_of_one(connection: Connection) -> object:
    return all_streams.read(connection, outlook.read(Settings(), connection, [1]))


QUESTIONS: dict[str, Question] = {
    "which connections are due": lambda connection: due_gaps.due_connections(connection, sweep.PAGE),
    "which connections stand still": wait_views.read,
    "a run's page of 1,000 gaps": _page,
    "coverage of one connection": _coverage_of_one,
    "coverage of all streams": _coverage,
}


@dataclass(frozen=True)
class Answered:
    """How long a question took (median, ms), and how the server found its gaps: access paths, by their nodes."""

    question: str
    ms: float
    paths: tuple[str, ...]


def ask(db: Database, name: str, times: int) -> Answered:
    """Ask a question several times; nothing that it changes stays."""
    took = []
    for _ in range(times):
        with _undone(db) as connection:
            began = time.perf_counter()
            QUESTIONS[name](connection)
            took.append(1000 * (time.perf_counter() - began))
    return Answered(name, median(took), tuple(sorted(set(paths(db, QUESTIONS[name])))))


def paths(db: Database, question: Question) -> Iterator[str]:
    """How the server reads the table of gaps for a question, from EXPLAIN of the very statements that it sends."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if "gaps" in statement:
            sent.append((statement, parameters))

    with _undone(db) as connection:
        event.listen(connection, "before_cursor_execute", note)
        question(connection)
        event.remove(connection, "before_cursor_execute", note)
        for statement, parameters in sent:
            [plan] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
            yield from _of_gaps(plan["Plan"])


def _of_gaps(node: dict[str, Any]) -> Iterator[str]:
    kind, index = node["Node Type"], node.get("Index Name")
    by_index = index is not None and "gaps" in index
    if by_index or (node.get("Relation Name") == "gaps" and kind == "Seq Scan"):
        yield f"{kind} using {index}" if by_index else kind
    for child in node.get("Plans", []):
        yield from _of_gaps(child)


@contextmanager
def _undone(db: Database) -> Iterator[Connection]:
    with db.engine.connect() as connection:
        yield connection
        connection.rollback()
