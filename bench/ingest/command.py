"""`python -m bench ingest`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.ingest.rounds import LOADS, Result, run
from bench.ingest.summary import Figure, as_table, summarise
from bench.machine import Machine, this_machine
from pdpp_worker.local.embedded import acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

_console = Console(width=120, soft_wrap=True)


def ingest(
    records: Annotated[int, typer.Option(min=1, help="How many records.")] = 350_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side is measured; the median counts.")] = 3,
    out: Annotated[Path | None, typer.Option("--json", help="Write machine, figures and every measure here.")] = None,
) -> None:
    """Records/s into PostgreSQL: the runtime beside COPY and beside an upsert written by hand."""
    with (
        tempfile.TemporaryDirectory(prefix="pdpp-bench-") as folder,
        temporary_data_dir() as data_dir,
        acquire(Settings(data_dir=data_dir)) as servers,
    ):
        machine = _machine(servers.database_url)
        _console.print(f"{machine}\n{records:,} records, {rounds} rounds", highlight=False)
        results = _watched(run(servers, Path(folder), records, rounds), rounds)
    figures = summarise(results, records)
    _console.print(as_table(figures))
    if out is not None:
        out.write_text(_as_json(machine, records, figures, results))


def _machine(database_url: str) -> Machine:
    db = Database(database_url)
    version = db.check()
    db.close()
    return this_machine(version)


def _watched(results: Iterator[Result], rounds: int) -> list[Result]:
    total = rounds * sum(map(len, LOADS.values()))
    taken: list[Result] = []
    with _console.status("preparing the records") as status:
        for one in results:
            taken.append(one)
            status.update(f"{len(taken)} of {total}: {one.side}, {one.load} load took {one.measure.seconds:.1f} s")
    return taken


def _as_json(machine: Machine, records: int, figures: Sequence[Figure], results: Sequence[Result]) -> str:
    report = {
        "machine": asdict(machine),
        "records": records,
        "figures": [asdict(one) for one in figures],
        "measures": [asdict(one) for one in results],
    }
    return json.dumps(report, indent=2) + "\n"
