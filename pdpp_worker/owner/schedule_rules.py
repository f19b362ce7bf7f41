"""Schedules that an owner asks for: an interval or a cron line, checked before it is stored."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pdpp_worker.cron_lines import CronLine
from pdpp_worker.dispatch.due_times import next_time
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner.durations import parse_duration, written_duration

JITTER = 0.1
"""Share of an interval by which a run may be late, so that connections do not all start at once."""


@dataclass(frozen=True)
class Schedule:
    """An interval with its jitter, s, or a cron line."""

    every_s: float | None
    cron: str | None
    jitter_s: float


class Written(NamedTuple):
    """A schedule as its owner writes it; an empty text is not given."""

    every: str = ""
    cron: str = ""
    timezone: str = ""


def written(every_s: float | None, cron: str | None) -> Written:
    """The stored schedule as its owner would write it."""
    if cron is not None:
        line = CronLine.of(cron)
        return Written(cron=line.fields, timezone=line.zone)
    return Written(every="" if every_s is None else written_duration(every_s))


def changed(held: Written, asked: Written) -> Schedule | None:
    """Read a schedule that an owner changes: of an interval and times the changed one counts; None: nothing is given.

    A time zone alone moves the times that are held.

    Raises:
        ConfigurationError: interval and times are both new, a zone is given without times, or no next time follows.
    """
    every = "" if asked.cron and asked.every == held.every else asked.every
    cron = "" if every and asked.cron == held.cron else asked.cron
    zone = "" if every and asked.timezone == held.timezone else asked.timezone
    return read(every, cron or ("" if every or not zone else held.cron), zone)


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
    every_s = _interval(every) if every else default_s
    return None if every_s is None else at_interval(every_s)


def next_times(
    every_s: float | None, cron: str | None, next_run_at: datetime | None, count: int, now: datetime
) -> list[datetime]:
    """The next times of a schedule, without its jitter; none where it has no next time or cannot be followed.

    A time that is due already is none of them.
    """
    if next_run_at is None or (every_s is None and cron is None):
        return []
    found, spread = [next_run_at] if next_run_at > now else [], random.SystemRandom()
    with suppress(ConfigurationError):
        while len(found) < count:
            after = found[-1] if found else now
            found.append(next_time(after, every_s=every_s, cron=cron, jitter_s=0.0, spread=spread))
    return found


def _interval(every: str) -> float:
    try:
        return parse_duration(every)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} Times such as @hourly and @daily are taken as well.") from None


def _checked(schedule: Schedule) -> Schedule:
    next_time(datetime.now(UTC), **asdict(schedule), spread=random.SystemRandom())
    return schedule
