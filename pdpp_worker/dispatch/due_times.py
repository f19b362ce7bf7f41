"""Computes when a connection is due next; pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from pdpp_worker.cron_lines import CronLine
from pdpp_worker.errors import ConfigurationError

LONGEST_S = 10 * 365 * 86_400.0
"""The longest interval of a schedule, s: ten years."""
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Cron lines that have a name."""


def next_time(
    now: datetime, *, every_s: float | None, cron: str | None, jitter_s: float, spread: random.Random
) -> datetime:
    """The next time after `now`, put off by up to `jitter_s` seconds; times that were missed are not made up.

    Raises:
        ConfigurationError: the cron line is not one, or its time never comes; the interval is none, or too long.
    """
    due = _next_of_cron(cron, now) if cron is not None else now + timedelta(seconds=_checked(every_s or 0.0))
    return due + timedelta(seconds=spread.uniform(0, min(jitter_s, LONGEST_S)))


def _checked(every_s: float) -> float:
    if not 0 < every_s <= LONGEST_S:
        days = f"{every_s / 86_400:,.6g} days"
        raise ConfigurationError(f"{days} is no interval; it must be longer than 0 and at most ten years.")
    return every_s


def _next_of_cron(line: str, now: datetime) -> datetime:
    due = next(parse_cron(line, now), None)
    if due is None:
        raise ConfigurationError(f"{line!r} never comes: no day is all that it asks for.")
    return due


def parse_cron(line: str, now: datetime) -> Iterator[datetime]:
    """The times of a cron line after `now`, in UTC. The line has five fields, or is `@daily` or its like.

    By the clock of a time zone (`CRON_TZ=Europe/Berlin 30 4 * * *`) a time that is skipped when summer time begins
    comes right after the gap, and one that is there twice when it ends comes once.

    Raises:
        ConfigurationError: naming the line and an example of a right one.
    """
    parts = CronLine.of(line)
    try:
        times = CronSim(_NAMED.get(parts.fields.strip().lower(), parts.fields), now.astimezone(_zone(parts.zone)))
    except CronSimError as error:
        raise ConfigurationError(
            f"{line!r} is not a cron line: {error}. "
            "Five fields are wanted, such as '30 4 * * *' (every day at 04:30 UTC)."
        ) from None
    # In the hour that comes twice, the clock of a zone tells a time that is over once more.
    return (at for at in (time.astimezone(UTC) for time in times) if at > now)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(f"{name!r} is no time zone; write it as Europe/Berlin or America/New_York.") from None
