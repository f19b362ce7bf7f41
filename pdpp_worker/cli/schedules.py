"""When a connection is collected, from the command line's options."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from pdpp_worker.cli.times import duration, parse_duration
from pdpp_worker.dispatch.due_times import next_time
from pdpp_worker.errors import ConfigurationError

JITTER = 0.1
"""Share of an interval by which a run may be late, so that connections do not all start at once."""

Every = Annotated[str | None, typer.Option(help="Collect at this interval: 15m, 1h, 1d.", metavar="DURATION")]
Cron = Annotated[str | None, typer.Option(help="Collect at these times (five fields, UTC).", metavar="LINE")]


@dataclass(frozen=True)
class Schedule:
    """An interval with its jitter, s, or a cron line."""

    every_s: float | None
    cron: str | None
    jitter_s: float


def read_schedule(every: str | None, cron: str | None, default_s: float | None = None) -> Schedule | None:
    """The schedule that the options ask for, else an interval of `default_s`, else None.

    Raises:
        ConfigurationError: both forms are given, or no next time follows from the one that is.
    """
    if every is not None and cron is not None:
        raise ConfigurationError("Give either --every or --cron, not both.")
    every_s = parse_duration(every) if every is not None else default_s
    if cron is not None:
        schedule = Schedule(None, cron, 0.0)
    elif every_s is not None:
        schedule = Schedule(every_s, None, every_s * JITTER)
    else:
        return None
    next_time(datetime.now(UTC), **asdict(schedule), spread=random.SystemRandom())
    return schedule


def describe(every_s: float | None, cron: str | None, paused: bool | None) -> str:
    """A schedule in words."""
    if every_s is None and cron is None:
        return "none"
    words = f"every {duration(every_s)}" if every_s is not None else f"cron {cron} (UTC)"
    return f"{words}, paused" if paused else words
