"""The picture of the benchmarks shows the committed figures, and ours beside others only."""

from __future__ import annotations

import json
from pathlib import Path

from bench.picture import Bar, draw, jobs
from bench.table import OURS

ROOT = Path(__file__).parents[2]


def way(job: str, by: str, seconds: float | None, note: str = "") -> dict[str, object]:
    return {"job": job, "by": by, "seconds": seconds, "note": note}


def test_the_picture_is_that_of_the_committed_figures() -> None:
    figures = json.loads((ROOT / "bench" / "figures.json").read_text())

    assert draw(figures) == (ROOT / "docs" / "speed.svg").read_text()


def test_a_job_is_shown_where_somebody_else_does_it_too_the_quickest_first() -> None:
    ways = [
        *(way("both", OURS, seconds) for seconds in (4.0, 2.0, 3.0)),
        way("both", "peer", 1.0, "does less"),
        way("both", "absent", None, "skipped: it is not installed"),
        way("alone", OURS, 1.0),
    ]

    assert jobs(ways) == {"both": [Bar("peer", 1.0, "does less"), Bar(OURS, 3.0, "")]}
