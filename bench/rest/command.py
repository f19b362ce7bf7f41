"""`python -m bench rest`."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.machine import Machine, this_machine
from bench.rest.doorbell import latencies_s
from bench.rest.running import ROOT, Part, Up, running
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.local import endpoints
from pdpp_worker.settings import get_settings
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

MIB = 2**20
COMMANDS = (
    ("--help",),
    ("status",),
    ("runs",),
    ("gaps", "rest"),
    ("why", "rest", "messages"),
    ("connection", "list"),
    ("connection", "show", "rest"),
)
LOOK_EVERY_S = 5.0
_console = Console(width=120, soft_wrap=True)


@dataclass(frozen=True)
class Rest:
    """All figures; times in seconds, memory in bytes."""

    machine: Machine
    ready_s: float
    parts: list[Part]
    processes: list[int]
    """How many there were at each look."""
    cpu_share: float
    """Of one core, while nothing is to be done."""
    doorbell_s: list[float]
    commands_s: dict[str, float]
    """CPU of a command, the median."""
    stop_s: float


def rest(
    settle: Annotated[float, typer.Option(min=0, help="Seconds before the fleet is taken to be at rest.")] = 60.0,
    watched: Annotated[float, typer.Option(min=1, help="Seconds in which its CPU is counted.")] = 60.0,
    times: Annotated[int, typer.Option(min=2, help="How often it is notified, and each command is run.")] = 40,
    out: Annotated[Path | None, typer.Option("--json", help="Write machine and figures here.")] = None,
) -> None:
    """Measure what the fleet holds and takes while nothing is to be done, and how soon it answers then."""
    with temporary_data_dir() as data_dir, running(data_dir) as up, ProviderProcess() as provider:
        data_dir.mkdir()
        os.environ["PDPP_DATA_DIR"] = str(data_dir)
        found = _measure(up, provider, settle, watched, times)
    _show(found)
    if out is not None:
        out.write_text(json.dumps(asdict(found), indent=2) + "\n")


def _measure(up: Up, provider: ProviderProcess, settle_s: float, watched_s: float, times: int) -> Rest:
    ready_s = up.start()
    time.sleep(settle_s)
    cpu_share, parts, processes = _idle(up, watched_s)
    settings = get_settings()
    db = Database(endpoints.resolve(settings).database_url.get_secret_value())
    machine = this_machine(db.check())
    doorbell_s = list(latencies_s(settings, db, provider, times))[1:]
    db.close()
    endpoints.release()
    commands_s = {" ".join(words): median(_cpu_s(up, words) for _ in range(max(3, times // 8))) for words in COMMANDS}
    return Rest(machine, ready_s, parts, processes, cpu_share, doorbell_s, commands_s, up.stop())


def _idle(up: Up, seconds: float) -> tuple[float, list[Part], list[int]]:
    """The share of a core that the fleet takes, its processes afterwards, and how many there were at each look.

    A look of ours costs it nothing. Of a process that is gone by the end nothing is counted.
    """
    before, processes = {part.pid: part.cpu_s for part in up.parts()}, []
    end = time.monotonic() + seconds
    while (left_s := end - time.monotonic()) > 0:
        time.sleep(min(LOOK_EVERY_S, left_s))
        processes.append(len(up.parts()))
    parts = up.parts()
    return sum(part.cpu_s - before.get(part.pid, 0.0) for part in parts) / seconds, parts, processes


def _cpu_s(up: Up, words: Sequence[str]) -> float:
    """The CPU of one command, s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pdpp_worker", *words]
    subprocess.run(command, env=up.environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _show(found: Rest) -> None:
    table = Table("process", "PSS, MiB", box=None)
    for part in found.parts:
        table.add_row(part.name, f"{part.pss / MIB:.1f}")
    p95 = quantiles(found.doorbell_s, n=20)[-1]
    pss = sum(part.pss for part in found.parts) / MIB
    _console.print(str(found.machine), highlight=False)
    _console.print(table)
    for line in (
        f"processes {median(found.processes):g}, at most {max(found.processes)}; PSS {pss:.0f} MiB",
        f"idle CPU {found.cpu_share:.2%} of a core; ready in {found.ready_s:.1f} s, stopped in {found.stop_s:.1f} s",
        f"doorbell to first request: p50 {median(found.doorbell_s) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms",
        *(f"{name}: {cpu_s:.2f} s of CPU" for name, cpu_s in found.commands_s.items()),
    ):
        _console.print(line, highlight=False)
