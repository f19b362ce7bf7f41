"""Schedules that an owner asks for: an interval or a cron line, checked before it is stored."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pdpp_worker.cron_lines import CronLine
from pdpp_worker.dispatch.due_times import next_time
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner.durations import parse_duration

JITTER = 0.1
"""Share of an interval by which a run may be late, so that connections do not all start at once."""


@dataclass(frozen=True)
class Schedule:
    """An interval with its jitter, s, or a cron line."""

    every_s: float | None
    cron: str | None
    jitter_s: float


def at_interval(every_s: float) -> Schedule:
    """Make a schedule with this interval, s.

    Raises:
        ConfigurationError: the interval is none, or longer than ten years.
    """
    return _checked(Schedule(every_s, None, every_s * JITTER))


def at_times(cron: str, zone: str | None = None) -> Schedule:
    """Make a schedule from a cron line (five fields, or `@daily` and its like) by the clock of a time zone, else UTC.

    Raises:
        ConfigurationError: the line is not one, its time never comes, or there is no such zone.
    """
    return _checked(Schedule(None, str(CronLine(cron, zone)) if zone else cron, 0.0))


def read(every: str | None, cron: str | None, zone: str | None, default_s: float | None = None) -> Schedule | None:
    """Read a schedule as owners write it, else make one of an interval of `default_s`, else None.

    `every` is a duration, or `@daily` and its like; empty texts are none.

    Raises:
        ConfigurationError: both are given, a zone is given without times, or no next time follows.
    """
    if every and cron:
        raise ConfigurationError("Give either an interval or times (cron), not both.")
    times = every if every and every.startswith("@") else cron
    if zone and not times:
        raise ConfigurationError("A time zone is for times (cron); an interval needs none.")
    if times:
        return at_times(times, zone)
    every_s = parse_duration(every) if every else default_s
    return None if every_s is None else at_interval(every_s)


def next_times(
    every_s: float | None, cron: str | None, next_run_at: datetime | None, count: int, now: datetime
) -> list[datetime]:
    """The next times of a schedule, without its jitter; none where it has no next time or cannot be followed."""
    if next_run_at is None or (every_s is None and cron is None):
        return []
    found, spread = [max(next_run_at, now)], random.SystemRandom()
    with suppress(ConfigurationError):
        while len(found) < count:
            found.append(next_time(found[-1], every_s=every_s, cron=cron, jitter_s=0.0, spread=spread))
    return found


def _checked(schedule: Schedule) -> Schedule:
    next_time(datetime.now(UTC), **asdict(schedule), spread=random.SystemRandom())
    return schedule
