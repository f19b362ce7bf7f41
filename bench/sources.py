"""Rows of sources that lie in files: a worker reads one into a fresh database, and peers do what they do with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.alone import Measure, measure
from bench.databases import database
from bench.table import OURS, Ground, Way
from bench.worker import Job, work


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


def _ours(ground: Ground, job: str, number: int, url: str, order: Job) -> Iterator[Way]:
    for name in (job, f"{job}, unchanged"):
        done = work(url, ground.servers.redis_url, order)
        note = f"{done.status}, {done.new:,} new"
        yield Way(name, OURS, number, done.seconds, done.cpu_s, done.peak_rss, note)


def _way(job: str, by: str, number: int, taken: Measure) -> Way:
    return Way(job, by, number, taken.seconds, taken.cpu_s, taken.peak_rss)
