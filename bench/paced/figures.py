"""Shares of rates, and what processes use."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.paced.account import Seen

MIB = 2**20


class Shares(NamedTuple):
    """The shares of their own rates that accounts got; `total` is all requests by the sum of the rates."""

    total: float
    least: float
    p5: float
    p50: float


def shares(since: Seen, seen: Seen, interval_s: Callable[[str], float]) -> Shares:
    """The shares between two looks."""
    found = {
        name: share(_since(asked, since["now"]), interval_s(name), seen["now"])
        for name, asked in seen["arrivals"].items()
    }
    rates = {name: 1 / interval_s(name) for name in found}
    total = sum(found[name] * rates[name] for name in found) / sum(rates.values())
    ordered = sorted(found.values())
    return Shares(total, ordered[0], ordered[len(ordered) // 20], ordered[len(ordered) // 2])


def share(arrivals: Sequence[float], interval_s: float, now: float) -> float:
    """The share of its own rate that an account got since its first arrival: 1 is one request an interval.

    The interval that has just begun at `now` counts neither for nor against it.
    """
    seconds = max(arrivals[-1], now - interval_s) - arrivals[0]
    return (len(arrivals) - 1) * interval_s / seconds if seconds > 0 else 0.0


def of_directory(data_dir: Path) -> list[psutil.Process]:
    """The processes that name a data directory in their command line or environment, and their descendants."""
    own = [one for one in psutil.process_iter() if one.pid != psutil.Process().pid and _names(one, str(data_dir))]
    found = {one.pid: one for parent in own for one in (parent, *parent.children(recursive=True))}
    return list(found.values())


def is_collector(process: psutil.Process) -> bool:
    """Whether a process is a collect worker."""
    with suppress(psutil.Error):
        return "--queues=collect" in process.cmdline()
    return False


def pss_mib(processes: Iterable[psutil.Process]) -> float:
    """Their memory, MiB: what several of them share counts once."""
    total = 0.0
    for one in processes:
        with suppress(psutil.Error):
            total += one.memory_full_info().pss / MIB
    return total


def cpu_s(process: psutil.Process) -> float:
    """CPU time that a process has used, s; none where it is gone."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _since(arrivals: list[float], instant: float) -> list[float]:
    """The last arrival before an instant, and all that came after it."""
    return arrivals[max(0, bisect_right(arrivals, instant) - 1) :]


def _names(process: psutil.Process, directory: str) -> bool:
    with suppress(psutil.Error):
        return directory in " ".join(process.cmdline()) or process.environ().get("PDPP_DATA_DIR") == directory
    return False
