"""Forecast of the end of pending work, as far as the learned rate can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST_SPREAD = 0.1
"""The spread of an end by a rate that is well known: a share of the time until then, waits included."""
SEED_SPREAD = 0.5
"""The same for a rate that was not learned, and so is a guess."""


@dataclass(frozen=True)
class Forecast:
    """`items` are done at `done_at`, give or take `spread`; `cost` is the time that they take.

    `done_at` is None where no rate tells it.
    """

    items: int
    cost: timedelta
    done_at: datetime | None
    spread: timedelta


def cost_of(items: int, interval_ms: float) -> timedelta:
    """The time that `items` requests take at one every `interval_ms`."""
    return timedelta(milliseconds=items * interval_ms)


def forecast(
    items: int,
    interval_ms: float,
    now: datetime,
    *,
    learned: bool,
    not_before: datetime | None,
    last_at: datetime | None = None,
) -> Forecast:
    """Forecast the end of `items` requests at one every `interval_ms`, from now or from the time they may begin.

    `last_at`: when the last of them may be sent; it is done one interval later at the earliest.
    """
    cost = cost_of(items, interval_ms)
    begin = max(now, not_before) if not_before is not None else now
    done_at = begin + cost
    if last_at is not None:
        done_at = max(done_at, last_at + cost_of(1, interval_ms))
    return Forecast(items, cost, done_at, (done_at - now) * (LEAST_SPREAD if learned else SEED_SPREAD))
