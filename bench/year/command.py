"""`python -m bench year`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.machine import this_machine
from bench.year import history
from bench.year.history import Size
from bench.year.questions import QUESTIONS, Answered, ask
from pdpp_worker.local.embedded import EmbeddedServers, acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate, retention
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import table_stats
from tests.support.servers import temporary_data_dir

_console = Console(width=120, soft_wrap=True)


@dataclass(frozen=True)
class Aged:
    """All figures after so many days."""

    days: int
    bytes: int
    answered: list[Answered]
    pruned: dict[str, int]
    pruned_s: float
    """How long it took to drop what is older than its period."""
    after: list[Answered]
    """The same questions then."""


def year(
    days: Annotated[list[int] | None, typer.Option(min=1, help="Length of the history; again for more.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="How many connections.")] = 50,
    times: Annotated[int, typer.Option(min=1, help="How often each question is asked; the median counts.")] = 5,
    out: Annotated[Path | None, typer.Option("--json", help="Write machine and figures here.")] = None,
) -> None:
    """Measure questions after a month and after a year, and the dropping of what is old."""
    with temporary_data_dir() as data_dir, acquire(Settings(data_dir=data_dir)) as servers:
        db = Database(servers.database_url)
        machine = this_machine(db.check())
        db.close()
        _console.print(str(machine), highlight=False)
        found = [measure(servers, one, Size(connections), times) for one in days or (30, 365)]
    _show(found)
    if out is not None:
        document = {"machine": asdict(machine), "histories": [asdict(one) for one in found]}
        out.write_text(json.dumps(document, indent=2) + "\n")


def measure(servers: EmbeddedServers, days: int, size: Size, times: int) -> Aged:
    """All questions at one length of the history, in tables of its own."""
    with _console.status(f"{days:,} days"):
        db = Database(servers.database_url)
        migrate.upgrade(db)
        history.fill(db, days, size)
        with db.begin() as connection:
            total = sum(one.bytes for one in table_stats.read(connection))
        answered = [ask(db, name, times) for name in QUESTIONS]
        began = time.perf_counter()
        pruned = retention.prune(Settings(), db, budget_s=3600)
        took = time.perf_counter() - began
        after = [ask(db, name, times) for name in QUESTIONS]
        migrate.downgrade(db, "base")
        db.close()
        return Aged(days, total, answered, pruned, took, after)


def _show(found: list[Aged]) -> None:
    table = Table("question")
    for one in found:
        for heading in (f"{one.days:,} days, ms", "pages", "pruned, ms"):
            table.add_column(heading, justify="right")
    for number, name in enumerate(QUESTIONS):
        cells = []
        for one in found:
            answered, after = one.answered[number], one.after[number]
            cells += [f"{answered.ms:,.1f}", f"{answered.pages:,}", f"{after.ms:,.1f}"]
        table.add_row(name, *cells)
    _console.print(table)
    for one in found:
        dropped = ", ".join(f"{rows:,} {name}" for name, rows in one.pruned.items())
        _console.print(f"{one.days:,} days: {one.bytes / 1e6:,.0f} MB; dropped {dropped} in {one.pruned_s:.1f} s")
