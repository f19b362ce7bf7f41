"""One picture of the benchmarks: python -m bench.picture bench/figures.json docs/speed.svg.

It reads what `python -m bench --json FILE` wrote. Bars are seconds, each job on a scale of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.table import OURS

WIDTH, LABEL, ROW, HEADING = 720, 210, 17, 24
LONGEST = WIDTH - LABEL - 80
LEFT_OUT = ("third run", "at 5, 10 and 20 s")
"""Ends of the names of jobs that say the same as another one, or that last as long as they are watched."""
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 } .job { font-weight: 600 } .ours { font-weight: 600 }
rect { fill: #aab } rect.ours { fill: #36c }
@media (prefers-color-scheme: dark) { text { fill: #ccc } rect { fill: #667 } rect.ours { fill: #69f } }
"""


class Bar(NamedTuple):
    """One way of doing a job; seconds are the median of its rounds."""

    by: str
    seconds: float
    note: str


def jobs(ways: Sequence[Mapping[str, Any]]) -> dict[str, list[Bar]]:
    """Each job that somebody else does as well, with its ways, the quickest first."""
    found: dict[str, list[Bar]] = {}
    for job in dict.fromkeys(way["job"] for way in ways):
        own = [way for way in ways if way["job"] == job and way["seconds"] is not None]
        bars = [_bar(by, [way for way in own if way["by"] == by]) for by in dict.fromkeys(way["by"] for way in own)]
        if len(bars) > 1 and not job.endswith(LEFT_OUT):
            found[job] = sorted(bars, key=lambda bar: bar.seconds)
    return found


def draw(document: Mapping[str, Any]) -> str:
    """The picture, for light and dark pages."""
    parts: list[str] = []
    top = 0
    for job, bars in jobs(document["ways"]).items():
        parts.append(f'<text class="job" x="0" y="{top + 17}">{escape(job)}</text>')
        parts += _rows(bars, top + HEADING)
        top += HEADING + ROW * len(bars) + 8
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>Seconds a job takes, and others</title>'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


def _bar(by: str, ways: Sequence[Mapping[str, Any]]) -> Bar:
    notes = dict.fromkeys(way["note"] for way in ways if not by.startswith(OURS) and way["note"])
    return Bar(by, median(way["seconds"] for way in ways), "; ".join(notes))


def _rows(bars: Sequence[Bar], top: int) -> Iterator[str]:
    slowest = max(bar.seconds for bar in bars)
    for number, bar in enumerate(bars):
        y, kind = top + ROW * number, ' class="ours"' if bar.by.startswith(OURS) else ""
        width = max(1.0, bar.seconds / slowest * LONGEST)
        seconds = f"{bar.seconds:.0f} s" if bar.seconds >= 10 else f"{bar.seconds:.2g} s"
        yield f'<text{kind} x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(bar.by)}</text>'
        yield f'<rect{kind} x="{LABEL}" y="{y + 2}" width="{width:.1f}" height="12"/>'
        yield f'<text x="{LABEL + width + 6:.1f}" y="{y + 12}">{escape(f"{seconds}  {bar.note}".strip())}</text>'


def main(figures: Path, picture: Path) -> None:
    """Draw the figures of a file."""
    picture.write_text(draw(json.loads(figures.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
