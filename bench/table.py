"""The table of `make bench`: what was done, by whom, how long it took, and our time over that of each peer.

A benchmark of the table is one function from a `Ground` to `Way`s. It lets every way of a job run in the same run, on
the same machine, round after round; the table shows medians, and as `ours / it` the median of the ratios of a round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from pdpp_worker.local.embedded import EmbeddedServers

OURS = "pdpp-worker"
_MIB = 2**20


@dataclass(frozen=True)
class Ground:
    """The ground of the benchmarks: running servers, a folder for their files, and how much they are to do."""

    servers: EmbeddedServers
    folder: Path
    scale: float
    """1 is the full size; a row names the size that it had."""
    rounds: int

    def size(self, full: int) -> int:
        """So much of the full size."""
        return max(1, round(full * self.scale))


@dataclass(frozen=True)
class Way:
    """One way of doing a job, as it went in one round. Where nothing was measured, the note says why."""

    job: str
    by: str
    round: int
    seconds: float | None = None
    cpu_s: float | None = None
    peak_rss: int | None = None
    """Bytes."""
    note: str = ""


Benchmark = Callable[[Ground], Iterable[Way]]


def skipped(job: str, by: str, why: str) -> Way:
    """A way that cannot be gone on this machine."""
    return Way(job, by, 0, note=f"skipped: {why}")


def as_table(ways: Sequence[Way]) -> Table:
    """All jobs, each with its ways in the order in which they were first met, ours first."""
    table = Table("job", "by")
    for heading in ("s", "ours / it", "CPU s", "peak MiB"):
        table.add_column(heading, justify="right")
    table.add_column("note")
    for job in dict.fromkeys(way.job for way in ways):
        for cells in lines_of([way for way in ways if way.job == job]):
            table.add_row(*cells)
        table.add_section()
    return table


def lines_of(ways: Sequence[Way]) -> Iterator[Sequence[str]]:
    """The cells of one job, a line for each way of doing it."""
    ours = {way.round: way.seconds for way in ways if way.by == OURS}
    names = sorted(dict.fromkeys(way.by for way in ways), key=lambda by: by != OURS)
    for by in names:
        own = [way for way in ways if way.by == by]
        ratios = [ours[way.round] / way.seconds for way in own if way.seconds and ours.get(way.round)]  # type: ignore[operator]
        yield (
            own[0].job if by == names[0] else "",
            by,
            _middle([way.seconds for way in own], as_seconds),
            _middle([ratio if by != OURS else None for ratio in ratios], "{:.2f}".format),
            _middle([way.cpu_s for way in own], as_seconds),
            _middle([None if way.peak_rss is None else way.peak_rss / _MIB for way in own], "{:,.0f}".format, max),
            "; ".join(dict.fromkeys(way.note for way in own if way.note)),
        )


def as_seconds(value: float) -> str:
    """A time, s: to a tenth, and one below a second to a thousandth."""
    return f"{value:,.1f}" if value >= 1 else f"{value:.3f}"


def _middle(
    values: Sequence[float | None], form: Callable[[float], str], pick: Callable[[list[float]], float] = median
) -> str:
    told = [value for value in values if value is not None]
    return form(pick(told)) if told else ""
