"""Shows the demonstration: progress, and at the end the records held, the records missing, and the next retry."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy import Connection

from pdpp_worker.cli.output import console, print_table, say
from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.coverage.phrases import counts
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.times import due
from pdpp_worker.demo.setup import Demo
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import run_views
from pdpp_worker.store.views.run_views import RunView

SAY_EVERY_S = 5.0
_RUNS = 50
"""Runs that are looked at; a demonstration has a few."""


class Watch:
    """Follows the runs that had not ended when the demonstration began; one that it left behind is among them."""

    def __init__(self, db: Database, expected: int) -> None:
        self._db = db
        self._expected = expected
        with db.begin() as connection:
            self._ended = {run.id for run in run_views.latest(connection, None, _RUNS) if run.ended_at is not None}
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console(),
            disable=not console().is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said_at = time.monotonic()
        self._bars.start()

    def look(self) -> list[RunView] | None:
        """Show how far the runs are; the runs once each connection's walk has ended, else None."""
        with self._db.begin() as connection:
            runs = [run for run in run_views.latest(connection, None, _RUNS) if run.id not in self._ended]
            lines = [line for run in runs for line in self._show(connection, run)]
        if self._bars.disable and time.monotonic() - self._said_at >= SAY_EVERY_S:
            self._said_at = time.monotonic()
            say(*lines)
        walked = {run.connection for run in runs if run.kind == "forward" and run.ended_at is not None}
        return runs if len(walked) >= self._expected else None

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()

    def _show(self, connection: Connection, run: RunView) -> Iterator[str]:
        for stream in run_views.streams(connection, run.id):
            if stream.progress_total is None:
                continue
            name = f"{run.connection} {stream.stream}"
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=stream.progress_total)
            self._bars.update(self._tasks[name], total=stream.progress_total, completed=stream.progress_count or 0)
            if run.ended_at is None:
                yield f"  {name}: {stream.progress_count or 0:,} of {stream.progress_total:,}"


def show_result(db: Database, demo: Demo, runs: Sequence[RunView], seconds: float) -> None:
    """The table at the end: per stream collected, missing, why, next retry."""
    with db.begin() as connection:
        found = all_streams.read(connection, outlook.read(demo.settings, connection))
        streams = [one for one in found if one.records is not None]
        fetched = _fetched(connection, runs)
    rows = [_row(one, fetched.get((one.connection, one.stream), 0)) for one in streams]
    columns = ("connection", "stream", "collected", "new now", "missing", "why", "next retry")
    say("")
    print_table(columns, rows, right=("collected", "new now", "missing"))
    say("")
    for run in runs:
        say(f"run {run.id}  {run.connection}  {run.kind}: {run.status.replace('_', ' ')}")
    for one in demo.connections:
        if one.account.summary is not None:
            say(f"{one.name} {one.account.summary(seconds)}")


def _row(one: StreamCoverage, fetched: int) -> tuple[str, ...]:
    return (
        one.connection,
        one.stream,
        f"{one.records or 0:,}",
        f"{fetched:,}",
        f"{sum(one.gaps_by_reason.values()):,}",
        counts(one.gaps_by_reason) or "-",
        due(one.next_attempt_at) if one.next_attempt_at else "-",
    )


def _fetched(connection: Connection, runs: Sequence[RunView]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for run in runs:
        for stream in run_views.streams(connection, run.id):
            key = (run.connection, stream.stream)
            found[key] = found.get(key, 0) + stream.records_flushed
    return found
