"""The row of the table: records/s into PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

from bench import peers
from bench.ingest import rounds
from bench.ingest.rounds import LOADS, PEER_LOADS
from bench.table import OURS, Ground, Way, skipped

_RECORDS = 350_000
_TITLES = {
    "copy": "COPY of ready rows, first load",
    "upsert": "SQLAlchemy upsert",
    "runtime": OURS,
    "dlt": "dlt, merge",
    "singer": "Singer target-postgres",
}


def ingest(ground: Ground) -> Iterator[Way]:
    """The same records, twice."""
    count = ground.size(_RECORDS)
    jobs = {load: f"ingest {count:,} records, {load} load" for load in ("first", "second")}
    sides = {**LOADS, **PEER_LOADS} if peers.are_installed() else LOADS
    for one in rounds.run(ground.servers, ground.folder, count, ground.rounds, sides):
        taken = one.measure.seconds, one.measure.cpu_s, one.measure.peak_rss
        for load in jobs if one.side == "copy" else (one.load,):
            yield Way(jobs[load], _TITLES[one.side], one.round, *taken)
    if not peers.are_installed():
        yield from (skipped(job, _TITLES[side], peers.MISSING) for job in jobs.values() for side in PEER_LOADS)
