"""When pending work will be done, as far as the learned rate can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST_SPREAD = 0.1
"""Even a rate that is well known is not known better than to a tenth."""
SEED_SPREAD = 0.5
"""Nothing was learned yet, so the rate is a guess."""


@dataclass(frozen=True)
class Forecast:
    """`items` are done at `done_at`, give or take `spread`; `cost` is the time that they take."""

    items: int
    cost: timedelta
    done_at: datetime
    spread: timedelta


def forecast(items: int, interval_ms: float, now: datetime, *, learned: bool, not_before: datetime | None) -> Forecast:
    """The time that `items` requests take at one every `interval_ms`, from now or from when they may begin."""
    cost = timedelta(milliseconds=items * interval_ms)
    begin = max(now, not_before) if not_before is not None else now
    return Forecast(items, cost, begin + cost, cost * (LEAST_SPREAD if learned else SEED_SPREAD))
