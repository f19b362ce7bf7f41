"""When a connection is due next: pure arithmetic on times."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

from pdpp_worker.errors import ConfigurationError


def next_time(
    now: datetime, *, every_s: float | None, cron: str | None, jitter_s: float, spread: random.Random
) -> datetime:
    """The next time after `now`, put off by up to `jitter_s` seconds; times that were missed are not made up.

    Raises:
        ConfigurationError: the cron line is not one.
    """
    due = next(parse_cron(cron, now)) if cron is not None else now + timedelta(seconds=every_s or 0)
    return due + timedelta(seconds=spread.uniform(0, jitter_s))


def parse_cron(line: str, now: datetime) -> CronSim:
    """The times of a cron line (five fields, UTC) after `now`.

    Raises:
        ConfigurationError: naming the line and an example of a right one.
    """
    try:
        return CronSim(line, now)
    except CronSimError as error:
        raise ConfigurationError(
            f"{line!r} is not a cron line: {error}. "
            "Five fields are wanted, such as '30 4 * * *' (every day at 04:30 UTC)."
        ) from None
