"""The rows of the table: the fleet while nothing is to be done, and how soon it and its commands answer then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median, quantiles
from typing import Any

from bench.alone import figures_of
from bench.table import OURS, Ground, Way

_SETTLE_S, _WATCHED_S, _TIMES = 60, 60, 40


def rest(ground: Ground) -> Iterator[Way]:
    """A fleet with default settings, left alone and then notified, once: its figures are medians already."""
    given = {"--settle": _SETTLE_S, "--watched": _WATCHED_S, "--times": _TIMES}
    words = [word for name, full in given.items() for word in (name, str(max(2, ground.size(full))))]
    yield from ways_of(figures_of(ground.folder, "rest", *words))


def ways_of(found: Mapping[str, Any]) -> Iterator[Way]:
    """The cost of a minute at rest, the way from a notification to the first request, and the CPU of commands."""
    processes, pss = f"{median(found['processes']):g} processes", sum(part["pss"] for part in found["parts"])
    yield Way("fleet at rest, a minute", OURS, 0, 60.0, 60 * found["cpu_share"], pss, processes)
    waits = found["doorbell_s"]
    p95 = f"95 % within {quantiles(waits, n=20)[-1] * 1000:.0f} ms"
    yield Way("notification to first request", OURS, 0, median(waits), note=p95)
    for name, cpu_s in found["commands_s"].items():
        yield Way(f"pdpp-worker {name}", OURS, 0, cpu_s=cpu_s)
