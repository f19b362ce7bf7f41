"""Schedules from the command line's options."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.coverage.times import parse_duration
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import schedule_rules
from pdpp_worker.owner.schedule_rules import Schedule

Every = Annotated[str | None, typer.Option(help="Collect at this interval: 15m, 1h, 1d.", metavar="DURATION")]
Cron = Annotated[str | None, typer.Option(help="Collect at these times (five fields or @daily, UTC).", metavar="LINE")]


def read_schedule(every: str | None, cron: str | None, default_s: float | None = None) -> Schedule | None:
    """Read the schedule that the options ask for, else an interval of `default_s`, else None.

    Raises:
        ConfigurationError: both forms are given, or no next time follows from the one that is.
    """
    if every is not None and cron is not None:
        raise ConfigurationError("Give either --every or --cron, not both.")
    every_s = parse_duration(every) if every is not None else default_s
    if cron is not None:
        return schedule_rules.at_times(cron)
    return None if every_s is None else schedule_rules.at_interval(every_s)
