"""The rows of the table: many slow connections on one worker, beside what their rates allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.alone import figures_of
from bench.table import OURS, Ground, Way

ALLOWED = "as their rates allow"
_CONNECTIONS = (100, 1000)
_SECONDS = 60
_SHORTEST_S = 20
_MIB = 2**20


def paced(ground: Ground) -> Iterator[Way]:
    """Connections at 5, 10 and 20 s on a fleet with default settings, once: a minute holds hundreds of requests."""
    seconds = max(_SHORTEST_S, ground.size(_SECONDS))
    for connections in map(ground.size, _CONNECTIONS):
        words = ("paced", "--connections", str(connections), "--seconds", str(seconds))
        yield from ways_of(figures_of(ground.folder, *words))


def ways_of(found: Mapping[str, Any]) -> Iterator[Way]:
    """The time that the requests took, and the time that the connections' own rates allow for as many."""
    job = f"{found['connections']:,} connections at 5, 10 and 20 s"
    more = found["at_work_mib"] - found["at_rest_mib"]
    note = f"each has at least {found['shares']['least']:.3f} of its rate; memory: more than at rest"
    yield Way(job, OURS, 0, found["seconds"], found["fleet_cpu_s"], round(more * _MIB), note)
    yield Way(job, ALLOWED, 0, found["seconds"] * found["shares"]["total"])
