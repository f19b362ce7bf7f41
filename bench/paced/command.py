"""`python -m bench paced`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import psutil
import typer
from rich.console import Console
from sqlalchemy import text

from bench.fleet.processes import RealFleet, running
from bench.machine import this_machine
from bench.paced import account
from bench.paced.figures import cpu_s, is_collector, of_directory, pss_mib, shares
from tests.support.installed import install
from tests.support.servers import temporary_data_dir

PATIENCE_S = 600.0
LOOK_EVERY_S = 0.2
ASK_EVERY_S = 3.0

_console = Console(width=120, soft_wrap=True, highlight=False)


def paced(
    connections: Annotated[int, typer.Option(min=1, help="How many, a third each at 5, 10 and 20 s.")] = 100,
    seconds: Annotated[int, typer.Option(min=20, help="How long they are watched.")] = 120,
    workers: Annotated[int, typer.Option(min=1, help="Collect workers.")] = 1,
) -> None:
    """Slow connections on a fleet with default settings: each one's share of its own rate, memory and CPU."""
    with (
        temporary_data_dir() as data_dir,
        TemporaryDirectory() as site,
        account.provider() as url,
        running(data_dir, _installed(site), workers) as fleet,
    ):
        _console.print(str(this_machine(fleet.db.check())))
        at_rest, begun = pss_mib(of_directory(data_dir)), time.monotonic()
        account.connect(fleet.db, url, connections)
        _await(lambda: _asked_twice(fleet, url) == connections)
        _console.print(f"{connections:,} connections, all at work after {time.monotonic() - begun:.0f} s")
        _watch(fleet, url, seconds, data_dir)
        memory = pss_mib(of_directory(data_dir))
        _console.print(f"PSS {at_rest:.0f} MiB at rest, {memory:.0f} MiB now: {memory - at_rest:.0f} MiB more")
        _stop(fleet, data_dir)


def _installed(site: str) -> dict[str, str]:
    return {"PYTHONPATH": install(Path(site), account.NAME, account.CODE, json.dumps(account.MANIFEST))}


def _watch(fleet: RealFleet, url: str, seconds: int, data_dir: Path) -> None:
    """Look for so many seconds; print the shares, and the CPU time of a request."""
    processes, since = of_directory(data_dir), account.arrivals(url)
    before = [cpu_s(one) for one in processes]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fleet.poll()
        time.sleep(0.5)
    used = [cpu_s(one) - then for one, then in zip(processes, before, strict=True)]
    _print_shares(since, account.arrivals(url))
    requests = _requests(account.arrivals(url)) - _requests(since)
    collect = sum(spent for one, spent in zip(processes, used, strict=True) if is_collector(one))
    _console.print(
        f"CPU ms a request: collect worker {collect / requests * 1000:.1f}, "
        f"whole fleet with its servers {sum(used) / requests * 1000:.1f}"
    )


def _print_shares(since: account.Seen, seen: account.Seen) -> None:
    found = shares(since, seen, account.interval_s)
    lists = sum(seen["lists"].values()) - sum(since["lists"].values())
    _console.print(
        f"share of own rate: total {found.total:.3f}, least {found.least:.3f}, p5 {found.p5:.3f}, p50 {found.p50:.3f}; "
        f"{_requests(seen) - _requests(since):,} requests, {lists:,} of them lists; load {psutil.getloadavg()[0]:.1f}"
    )


def _requests(seen: account.Seen) -> int:
    return sum(map(len, seen["arrivals"].values()))


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not so after {PATIENCE_S:g} s"
        time.sleep(LOOK_EVERY_S)


def _stop(fleet: RealFleet, data_dir: Path) -> None:
    """Tell the collect workers to stop; print how long it takes until all leases are free, and until they are gone."""
    workers = [one for one in of_directory(data_dir) if is_collector(one)]
    begun = time.monotonic()
    for one in workers:
        one.terminate()
    _await(lambda: _held(fleet) == 0)
    freed = time.monotonic() - begun
    _await(lambda: not any(map(_runs, workers)))
    _console.print(f"SIGTERM: all leases free after {freed:.1f} s, gone after {time.monotonic() - begun:.1f} s")


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
