"""`python -m bench`, or `make bench`: one table, each of our rows beside its peers in the same run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.chatgpt.export import export
from bench.ingest.rows import ingest
from bench.logs.rows import logs
from bench.machine import Machine, this_machine
from bench.mail.rows import mail
from bench.paced.rows import paced
from bench.rest.rows import rest
from bench.slack.rows import slack
from bench.table import Benchmark, Ground, Way, as_seconds, as_table
from pdpp_worker.local.embedded import acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

BENCHMARKS: Mapping[str, Benchmark] = {
    "mail": mail,
    "ingest": ingest,
    "export": export,
    "logs": logs,
    "slack": slack,
    "paced": paced,
    "rest": rest,
}
"""The rows of the table: a benchmark is entered here."""

_console = Console(width=150, soft_wrap=True)


def everything(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(BENCHMARKS)}; may be repeated.")] = None,
    scale: Annotated[float, typer.Option(min=0.001, max=10, help="A part of the full sizes.")] = 1.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything runs; medians count.")] = 3,
    out: Annotated[Path | None, typer.Option("--json", help="Write the machine and every measure here.")] = None,
) -> None:
    """One table of all that people wait for, beside its peers."""
    names = only or list(BENCHMARKS)
    with ExitStack() as stack:
        data_dir = stack.enter_context(temporary_data_dir())
        servers = stack.enter_context(acquire(Settings(data_dir=data_dir)))
        machine = _machine(servers.database_url)
        _console.print(f"{machine}\nscale {scale:g}, {rounds} rounds", highlight=False)
        ways: list[Way] = []
        for name in names:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pdpp-bench-")))
            ways += _watched(BENCHMARKS[name](Ground(servers, folder, scale, rounds)))
    _console.print(as_table(ways))
    if out is not None:
        out.write_text(_as_json(machine, ways))


def _watched(ways: Iterable[Way]) -> list[Way]:
    done: list[Way] = []
    for way in ways:
        done.append(way)
        _console.print(f"  {way.job}: {way.by}, round {way.round + 1}: {_taken(way)}", highlight=False)
    return done


def _taken(way: Way) -> str:
    if way.seconds is not None:
        return f"{as_seconds(way.seconds)} s"
    return way.note if way.cpu_s is None else f"{as_seconds(way.cpu_s)} s of CPU"


def _machine(database_url: str) -> Machine:
    db = Database(database_url)
    version = db.check()
    db.close()
    return this_machine(version)


def _as_json(machine: Machine, ways: Sequence[Way]) -> str:
    return json.dumps({"machine": asdict(machine), "ways": [asdict(way) for way in ways]}, indent=2) + "\n"
