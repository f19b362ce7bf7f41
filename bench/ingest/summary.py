"""From measured loads to figures: medians, and ratios of loads that ran in the same round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from bench.ingest.rounds import LOADS, Result

TITLES = {
    "copy": "COPY of ready rows (the limit)",
    "upsert": "SQLAlchemy upsert, 1,000 a batch",
    "runtime": "pdpp-worker's runtime",
}


@dataclass(frozen=True)
class Figure:
    """One load of one side: medians of the rounds."""

    side: str
    load: str
    records_per_s: float
    ratio: float
    """Its speed over that of the first load by COPY in the same round."""
    cpu_us: float
    """Processor time of the client for a record, microseconds."""
    peak_rss: int
    """Bytes."""


def summarise(results: Sequence[Result], records: int) -> list[Figure]:
    """One figure for each load of each side."""
    limits = {one.round: one.measure.seconds for one in results if one.side == "copy"}
    figures: list[Figure] = []
    for side, load in ((side, load) for side, loads in LOADS.items() for load in loads):
        own = [one for one in results if (one.side, one.load) == (side, load)]
        figures.append(
            Figure(
                side=side,
                load=load,
                records_per_s=records / median(one.measure.seconds for one in own),
                ratio=median(limits[one.round] / one.measure.seconds for one in own),
                cpu_us=1e6 * median(one.measure.cpu_s for one in own) / records,
                peak_rss=max(one.measure.peak_rss for one in own),
            )
        )
    return figures


def as_table(figures: Sequence[Figure]) -> Table:
    """The figures for a person."""
    table = Table("side", "load")
    for heading in ("records/s", "x COPY", "client CPU, µs/record", "peak RSS, MiB"):
        table.add_column(heading, justify="right")
    for one in figures:
        speed, ratio = f"{one.records_per_s:,.0f}", f"{one.ratio:.2f}"
        table.add_row(TITLES[one.side], one.load, speed, ratio, f"{one.cpu_us:.1f}", f"{one.peak_rss / 2**20:.0f}")
    return table
