"""`python -m bench planning`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.databases import database
from bench.machine import this_machine
from bench.planning import backlog, statement
from bench.planning.questions import QUESTIONS, Answered, ask
from bench.planning.statement import Written
from pdpp_worker.local.embedded import EmbeddedServers, acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

CONNECTIONS = 20
RECORDS = 200_000
_console = Console(width=120, soft_wrap=True)


@dataclass(frozen=True)
class Sized:
    """All figures at one number of open gaps."""

    open_gaps: int
    answered: list[Answered]
    report: Written


def planning(
    gaps: Annotated[list[int] | None, typer.Option(min=100, help="How many open gaps; again for more sizes.")] = None,
    times: Annotated[int, typer.Option(min=1, help="How often each question is asked; the median counts.")] = 5,
    out: Annotated[Path | None, typer.Option("--json", help="Write machine and figures here.")] = None,
) -> None:
    """The price of knowing what is due and what is missing, among 10⁴, 10⁵ and 10⁶ open gaps."""
    with temporary_data_dir() as data_dir, acquire(Settings(data_dir=data_dir)) as servers:
        db = Database(servers.database_url)
        machine = this_machine(db.check())
        db.close()
        _console.print(str(machine), highlight=False)
        found = [_shown(measure(servers, size, times)) for size in gaps or (10_000, 100_000, 1_000_000)]
    if out is not None:
        out.write_text(
            json.dumps({"machine": asdict(machine), "sizes": [asdict(one) for one in found]}, indent=2) + "\n"
        )


def measure(servers: EmbeddedServers, size: int, times: int, records: int = RECORDS) -> Sized:
    """All questions at one number of open gaps, in a database of its own."""
    with _console.status(f"{size:,} open gaps"), database(servers, f"planning_{size}") as url:
        db = Database(url)
        backlog.fill(db, connections=CONNECTIONS, open_gaps=size, records=records)
        answered = [ask(db, name, times) for name in QUESTIONS]
        db.close()
        return Sized(size, answered, statement.write(url, servers.redis_url, "report", "--json"))


def _shown(one: Sized) -> Sized:
    table = Table(f"{one.open_gaps:,} open gaps")
    for heading in ("ms", "peak RSS, MiB"):
        table.add_column(heading, justify="right")
    table.add_column("how the gaps are found")
    for answered in one.answered:
        table.add_row(answered.question, f"{answered.ms:,.1f}", "", ", ".join(answered.paths))
    written = f"{1000 * one.report.seconds:,.0f}", f"{one.report.peak_rss / 2**20:,.0f}"
    table.add_row(f"report --json, {one.report.size / 1e6:,.0f} MB", *written, "")
    _console.print(table)
    return one
