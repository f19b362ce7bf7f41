"""`python -m bench.rate.buckets`: the bucket beside other limiters, on one server.

The others are not dependencies: install requirements/bench.in to have them measured.
"""

from __future__ import annotations

import multiprocessing
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from multiprocessing.synchronize import Barrier
from statistics import median, quantiles
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.rate.limiters import LIMITERS, Acquire, installed
from pdpp_worker.local.embedded import acquire
from pdpp_worker.settings import Settings
from tests.support.servers import temporary_data_dir

UNLIMITED_PER_S = 1_000_000.0
PER_S, SECONDS = 50.0, 5.0
PROCESSES = (1, 4, 16)
SLACK_S = 1.0
"""Processes do not begin at the same moment."""
_console = Console(width=110)


@dataclass(frozen=True)
class Cost:
    """The time of one acquisition that need not wait, µs."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Share:
    """The share of several processes: admissions over those allowed, and the most within any second."""

    admitted: float
    most_in_a_second: int


def main(
    redis: Annotated[str | None, typer.Option(help="A Redis to use; default: an embedded server.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the cost; the median counts.")] = 5,
) -> None:
    """Acquire cost, and how exactly several processes share 50 a second."""
    with ExitStack() as stack:
        url = redis or _embedded(stack)
        names = installed()
        missing = set(LIMITERS) - set(names)
        if missing:
            _console.print(f"not installed: {', '.join(sorted(missing))}", highlight=False)
        costs = _costs(url, names, rounds)
        shares = {name: [_share(url, name, count) for count in PROCESSES] for name in names if name != "PING"}
    _console.print(_table(costs, shares))


def _embedded(stack: ExitStack) -> str:
    data_dir = stack.enter_context(temporary_data_dir())
    return stack.enter_context(acquire(Settings(data_dir=data_dir))).redis_url


def _costs(url: str, names: Sequence[str], rounds: int, count: int = 2000) -> dict[str, Cost]:
    taken: dict[str, list[Cost]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            take = LIMITERS[name](url, uuid.uuid4().hex, UNLIMITED_PER_S)
            take()
            times = [_timed(take) for _ in range(count)]
            taken[name].append(Cost(median(times) * 1e6, quantiles(times, n=100)[98] * 1e6))
    return {
        name: Cost(median(one.p50 for one in several), median(one.p99 for one in several))
        for name, several in taken.items()
    }


def _timed(take: Acquire) -> float:
    begun = time.perf_counter()
    take()
    return time.perf_counter() - begun


def _share(url: str, name: str, processes: int) -> Share:
    key = uuid.uuid4().hex
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _gather, (context.Barrier(processes),)) as pool:
        several = pool.starmap(_admitted, [(url, name, key)] * processes, chunksize=1)
    begin = max(begun for begun, _ in several)
    admitted = sorted(chain.from_iterable(instants for _, instants in several))
    inside = [at for at in admitted if begin <= at < begin + SECONDS]
    return Share(len(inside) / (PER_S * SECONDS), _most_in_a_second(inside))


_all_ready: Barrier


def _gather(all_ready: Barrier) -> None:
    global _all_ready  # noqa: PLW0603 - how a pool hands a barrier to its processes
    _all_ready = all_ready


def _admitted(url: str, name: str, key: str) -> tuple[float, list[float]]:
    take = LIMITERS[name](url, key, PER_S)
    _all_ready.wait()
    begun = time.monotonic()
    instants = []
    while time.monotonic() < begun + SECONDS + SLACK_S:
        take()
        instants.append(time.monotonic())
    return begun, instants


def _most_in_a_second(instants: Sequence[float]) -> int:
    most = first = 0
    for last, at in enumerate(instants):
        while at - instants[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def _table(costs: dict[str, Cost], shares: dict[str, list[Share]]) -> Table:
    table = Table("limiter")
    for column in ("p50 µs", "p99 µs", "of PING", *(f"{count} proc." for count in PROCESSES)):
        table.add_column(column, justify="right")
    for name, cost in costs.items():
        table.add_row(
            name,
            f"{cost.p50:.0f}",
            f"{cost.p99:.0f}",
            f"{cost.p50 / costs['PING'].p50:.2f}",
            *(f"{one.admitted:.3f}, {one.most_in_a_second}" for one in shares.get(name, [])),
        )
    table.caption = f"with processes: admitted of what {PER_S:.0f} a second allow, and the most in any second"
    return table


if __name__ == "__main__":
    typer.run(main)
