"""Rows of sources that lie in files: a worker reads one into a fresh database, and peers do what they do with it.

A default fleet does the same, its servers its own, from the request of the run to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.alone import Measure, measure
from bench.databases import database
from bench.default_fleet import default_fleet
from bench.table import OURS, Ground, Way
from bench.worker import Job, work
from tests.support.servers import temporary_data_dir

FLEET = "pdpp-worker up"


def measured(
    ground: Ground, job: str, connector: str, given: Mapping[str, Any], source: Path, peers: Mapping[str, str]
) -> Iterator[Way]:
    """A first run of ours and one that finds nothing new, and the peers: names to modules with `load(url, source)`."""
    for number in range(ground.rounds):
        with database(ground.servers, f"bench_{connector}_{number}") as url:
            order = Job("bench", connector, dict(given), str(ground.folder / "data"))
            yield from _ours(ground, job, number, url, order)
        for by, module in peers.items():
            with database(ground.servers, f"bench_{connector}_{number}_peer") as url:
                yield _way(job, by, number, measure(module, url, str(source)))
        yield _by_fleet(job, number, connector, given)


def _by_fleet(job: str, number: int, connector: str, given: Mapping[str, Any]) -> Way:
    with temporary_data_dir() as data_dir, default_fleet(data_dir) as fleet, TemporaryDirectory() as empty:
        fleet.connect("empty", "claude_code", {"claude_dir": empty}, {})
        fleet.run("empty")  # so that no process starts within what is measured
        fleet.connect("source", connector, given, {})
        ran = fleet.run("source")
    return Way(job, FLEET, number, ran.seconds, ran.cpu_s, note=f"{ran.status}; CPU of the fleet with its servers")


def _ours(ground: Ground, job: str, number: int, url: str, order: Job) -> Iterator[Way]:
    for name in (job, f"{job}, unchanged"):
        done = work(url, ground.servers.redis_url, order)
        note = f"{done.status}, {done.new:,} new"
        yield Way(name, OURS, number, done.seconds, done.cpu_s, done.peak_rss, note)


def _way(job: str, by: str, number: int, taken: Measure) -> Way:
    return Way(job, by, number, taken.seconds, taken.cpu_s, taken.peak_rss)
