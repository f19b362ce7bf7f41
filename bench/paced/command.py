"""`python -m bench paced`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import psutil
import typer
from rich.console import Console
from sqlalchemy import text

from bench.fleet.processes import RealFleet, running
from bench.machine import Machine, this_machine
from bench.paced import account
from bench.paced.figures import Shares, cpu_s, is_collector, of_directory, pss_mib, shares
from tests.support.installed import install
from tests.support.servers import temporary_data_dir

PATIENCE_S = 600.0
LOOK_EVERY_S = 0.2
ASK_EVERY_S = 3.0

_console = Console(width=120, soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class Paced:
    """All figures; times in s of CPU or of the clock, memory in MiB."""

    machine: Machine
    connections: int
    seconds: int
    """How long they were watched."""
    at_work_after_s: float
    shares: Shares
    requests: int
    lists: int
    """Requests of these for the list of an account."""
    collect_cpu_s: float
    fleet_cpu_s: float
    """With its servers."""
    at_rest_mib: float
    at_work_mib: float
    freed_s: float
    """From SIGTERM until all leases were free."""
    gone_s: float


def paced(
    connections: Annotated[int, typer.Option(min=1, help="How many, a third each at 5, 10 and 20 s.")] = 100,
    seconds: Annotated[int, typer.Option(min=20, help="How long they are watched.")] = 120,
    workers: Annotated[int, typer.Option(min=1, help="Collect workers.")] = 1,
    out: Annotated[Path | None, typer.Option("--json", help="Write machine and figures here.")] = None,
) -> None:
    """Slow connections on a fleet with default settings: each one's share of its own rate, memory and CPU."""
    with (
        temporary_data_dir() as data_dir,
        TemporaryDirectory() as site,
        account.provider() as url,
        running(data_dir, _installed(site), workers) as fleet,
    ):
        found = _measure(fleet, url, data_dir, connections, seconds)
    _show(found)
    if out is not None:
        out.write_text(json.dumps(asdict(found) | {"shares": found.shares._asdict()}, indent=2) + "\n")


def _installed(site: str) -> dict[str, str]:
    return {"PYTHONPATH": install(Path(site), account.NAME, account.CODE, json.dumps(account.MANIFEST))}


def _measure(fleet: RealFleet, url: str, data_dir: Path, connections: int, seconds: int) -> Paced:
    machine = this_machine(fleet.db.check())
    at_rest, begun = pss_mib(of_directory(data_dir)), time.monotonic()
    account.connect(fleet.db, url, connections)
    _await(lambda: _asked_twice(fleet, url) == connections)
    at_work_after_s = time.monotonic() - begun
    processes, since = of_directory(data_dir), account.arrivals(url)
    used = _cpu_of(processes, fleet, seconds)
    seen = account.arrivals(url)
    return Paced(
        machine,
        connections,
        seconds,
        at_work_after_s,
        shares(since, seen, account.interval_s),
        _requests(seen) - _requests(since),
        sum(seen["lists"].values()) - sum(since["lists"].values()),
        sum(spent for one, spent in zip(processes, used, strict=True) if is_collector(one)),
        sum(used),
        at_rest,
        pss_mib(of_directory(data_dir)),
        *_stop(fleet, data_dir),
    )


def _cpu_of(processes: Sequence[psutil.Process], fleet: RealFleet, seconds: int) -> list[float]:
    """The CPU time that each process takes in so many seconds."""
    before = [cpu_s(one) for one in processes]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fleet.poll()
        time.sleep(0.5)
    return [cpu_s(one) - then for one, then in zip(processes, before, strict=True)]


def _show(found: Paced) -> None:
    share, ms = found.shares, 1000 / found.requests
    rates = f"total {share.total:.3f}, least {share.least:.3f}, p5 {share.p5:.3f}, p50 {share.p50:.3f}"
    cpu = f"collect worker {found.collect_cpu_s * ms:.1f}, whole fleet with its servers {found.fleet_cpu_s * ms:.1f}"
    for line in (
        str(found.machine),
        f"{found.connections:,} connections, all at work after {found.at_work_after_s:.0f} s",
        f"share of own rate: {rates}; {found.requests:,} requests, {found.lists:,} of them lists",
        f"CPU ms a request: {cpu}",
        f"PSS {found.at_rest_mib:.0f} MiB at rest, {found.at_work_mib:.0f} MiB at work",
        f"SIGTERM: all leases free after {found.freed_s:.1f} s, gone after {found.gone_s:.1f} s",
    ):
        _console.print(line)


def _requests(seen: account.Seen) -> int:
    return sum(map(len, seen["arrivals"].values()))


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not so after {PATIENCE_S:g} s"
        time.sleep(LOOK_EVERY_S)


def _stop(fleet: RealFleet, data_dir: Path) -> tuple[float, float]:
    """Tell the collect workers to stop; the seconds until all leases are free, and until they are gone."""
    workers = [one for one in of_directory(data_dir) if is_collector(one)]
    begun = time.monotonic()
    for one in workers:
        one.terminate()
    _await(lambda: _held(fleet) == 0)
    freed = time.monotonic() - begun
    _await(lambda: not any(map(_runs, workers)))
    return freed, time.monotonic() - begun


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _asked_twice(fleet: RealFleet, url: str) -> int:
    """How many accounts have asked for their list, and after one interval for more. Asked seldom: answers are long."""
    fleet.poll()
    time.sleep(ASK_EVERY_S)
    return sum(len(asked) > 1 for asked in account.arrivals(url)["arrivals"].values())


def _held(fleet: RealFleet) -> int:
    with fleet.db.begin() as connection:
        query = text("SELECT count(*) FROM leases WHERE expires_at > clock_timestamp()")
        return int(connection.execute(query).scalar_one())
