"""`python -m bench console`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.console import held, live
from bench.console.live import Crowd, Told
from bench.console.pages import paths
from bench.console.searches import SEARCHES
from bench.console.serving import Asked, ServerCpu, SqlTime, Visitor, served
from bench.machine import Machine, this_machine
from pdpp_worker.local import endpoints
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

SQL_MS, SEARCH_MS, LIVE_MS = 100.0, 300.0, 1000.0
"""Bounds: the SQL of a page, a search as a whole, and a change until it is on an open page; each at the 95th of 100."""
_console = Console(width=140, soft_wrap=True)


@dataclass(frozen=True)
class Found:
    """All figures, ms."""

    machine: Machine
    amount: held.Amount
    fill_s: float
    pages: dict[str, list[Asked]]
    searches: dict[str, list[Asked]]
    told: list[Told]
    crowd: Crowd


def console(
    records: Annotated[int, typer.Option(min=100, help="How many records.")] = 1_000_000,
    gaps: Annotated[int, typer.Option(min=10, help="How many open gaps.")] = 100_000,
    connections: Annotated[int, typer.Option(min=10, help="How many connections.")] = 50,
    times: Annotated[int, typer.Option(min=2, help="How often each is asked for.")] = 20,
    streams: Annotated[int, typer.Option(min=1, help="How many event streams are opened at once.")] = 1_000,
    only: Annotated[str, typer.Option(help="Only pages and searches with this in their names.")] = "",
    at: Annotated[Path | None, typer.Option(help="Keep the database here, or go on with that which is here.")] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Write machine and figures here.")] = None,
) -> None:
    """Measure every page of the console, search and live pages; ends with status 1 if one is beyond its bound."""
    with temporary_data_dir() if at is None else nullcontext(at.absolute()) as data_dir:
        os.environ["PDPP_DATA_DIR"] = str(data_dir)
        get_settings.cache_clear()
        settings = Settings(data_dir=data_dir)
        db = Database(endpoints.resolve(settings).database_url.get_secret_value())
        try:
            found = _measure(settings, db, held.Amount(connections, records, gaps), times, streams, only)
        finally:
            db.close()
            endpoints.release()
    late = _show(found)
    if out is not None:
        out.write_text(json.dumps(asdict(found), indent=2) + "\n")
    if late:
        raise typer.Exit(1)


def _measure(settings: Settings, db: Database, amount: held.Amount, times: int, streams: int, only: str) -> Found:
    machine = this_machine(db.check())
    _console.print(str(machine), highlight=False)
    migrate.upgrade(db)
    began = time.perf_counter()
    if not held.is_filled(db):
        held.fill(db, amount)
    fill_s = time.perf_counter() - began
    _console.print(f"filled in {fill_s:.0f} s", highlight=False)
    with served(settings, db) as server:
        visitor = Visitor(server, SqlTime(), ServerCpu(settings.data_dir / "embedded" / "postgres" / "data"))
        asked = [(name, path) for name, path in paths(db, server.access) if only in name]
        pages = {name: [visitor.get(path) for _ in range(times)] for name, path in asked}
        looked = {name: fields for name, fields in SEARCHES.items() if only in name}
        searches = {name: [visitor.post("/records", fields) for _ in range(times)] for name, fields in looked.items()}
        told = list(live.told(visitor, db, "/", times))
        crowd = live.crowd(server, visitor, "/", streams, times)
        visitor.http.close()
    return Found(machine, amount, fill_s, pages, searches, told, crowd)


def p95(values: Sequence[float]) -> float:
    """The 95th of 100 values in their order; of fewer, the one in that place."""
    return sorted(values)[min(len(values) - 1, round(0.95 * len(values)) - 1)]


def _show(found: Found) -> list[str]:
    """Print the figures; returns the names of those that are beyond their bounds."""
    late = [f"SQL of {name}" for name, asked in found.pages.items() if p95([one.sql_ms for one in asked]) > SQL_MS]
    late += [name for name, asked in found.searches.items() if p95([one.total_ms for one in asked]) > SEARCH_MS]
    _console.print(_table("page", found.pages))
    _console.print(_table("search", found.searches))
    known, shown = (p95([getattr(one, name) for one in found.told]) for name in ("known_ms", "shown_ms"))
    late += ["live"] if shown > LIVE_MS else []
    crowd = found.crowd
    for line in (
        f"a change is known to an open page after {known:.0f} ms, and shown after {shown:.0f} ms (p95)",
        f"{crowd.held:,} event streams held, {crowd.refused:,} refused: {crowd.said}",
        f"a page meanwhile: {p95(crowd.page_ms):.0f} ms (p95)",
        f"beyond their bounds: {', '.join(late) or 'none'}",
    ):
        _console.print(line, highlight=False)
    return late


def _table(of: str, found: Mapping[str, list[Asked]]) -> Table:
    table = Table(of, box=None)
    for heading in ("first, ms", "SQL p50", "SQL p95", "SQL CPU", "total p50", "total p95", "statements", "kB"):
        table.add_column(heading, justify="right")
    for name, asked in found.items():
        sql, total = [one.sql_ms for one in asked], [one.total_ms for one in asked]
        cpu = median(one.server_cpu_ms for one in asked)
        times = (total[0], median(sql), p95(sql), cpu, median(total), p95(total))
        cells = (f"{value:,.0f}" for value in times)
        table.add_row(name, *cells, str(asked[-1].statements), f"{asked[-1].bytes / 1000:,.0f}")
    return table
