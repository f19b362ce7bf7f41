"""A provider that keeps a token bucket, inferred from what it refuses.

Such a provider holds `burst` tokens at most, refilled at `rate` per second. A request takes one, and is refused
without one; a refused request takes none. So a refusal tells that the bucket is empty, and what is admitted from one
refusal to the next is what was refilled in that time: the quota, measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pdpp_worker.pacing.snapshot import BucketSnapshot, ago

FIRST_BURST = 3
USED_SHARE = 0.85
"""How much of the burst is used; the rest is room for what is not known exactly."""
CUSHION = 2
"""Requests by which the shadow lags behind the provider's bucket after a refusal, where that can save them up."""
RATE_NOT_BURST = 0.7
"""A rate that would have to fall below this share to explain a refusal is not the reason: the burst was smaller."""
REFILL_S = 30.0
"""The shortest pause after which the bucket is taken for full."""
INSTANT_S = 1e-3


class TokenBucket:
    """The estimated bucket, and its shadow, which paces. Rates are requests/s, instants s."""

    def __init__(self, rate: float) -> None:
        self.rate, self.burst = rate, FIRST_BURST
        self.count = 0
        """Requests admitted since it was last empty or full."""
        self._level, self._level_at = 0.0, -math.inf
        self._empty_at: float | None = None
        self._from_full: tuple[list[float], float] | None = None

    def due(self, now: float, pace: float) -> float:
        """When the shadow, leaking at `pace`, has room for the next request."""
        return now + max(0.0, self._level_after(now, pace) - self._credit) / pace

    def on_send(self, now: float, pace: float) -> None:
        """Take the room; after a long pause the provider's bucket is full again."""
        if now - self._level_at > max(REFILL_S, (self.burst + 1) / self.rate):
            self._begin(None)
        self._level = min(self._level_after(now, pace), self._credit + CUSHION) + 1
        self._level_at = now

    def on_admitted(self) -> None:
        """The request sent last was admitted."""
        self.count += 1

    @property
    def was_full(self) -> bool:
        """Whether it was last seen full, not empty."""
        return self._empty_at is None

    def bound(self, refused_at: float, admitted: Sequence[float]) -> float:
        """The highest rate that refuses now; a burst that would have refused what was admitted grows by one."""
        lasted_s = self.lasted_s(refused_at)
        measured = 0.0 if lasted_s is None else self.count / lasted_s
        rate, burst = highest_rate(self.since(admitted), refused_at, self.burst, measured)
        self.burst = min(burst, self.burst + 1)
        return rate

    def lasted_s(self, refused_at: float) -> float | None:
        """The time from empty to empty; None if it has been full since."""
        return None if self._empty_at is None else max(refused_at - self._empty_at, INSTANT_S)

    def is_smaller(self, refused_at: float, admitted: Sequence[float], bound: float) -> bool:
        """Whether a refusal after it was full speaks of the burst alone, which then is smaller."""
        since = self.since(admitted)
        self._from_full = (list(since), refused_at)
        if bound >= RATE_NOT_BURST * self.rate or self.burst == 1:
            return False
        self.burst = max(1, min(self.burst - 1, burst_seen(since, refused_at, self.rate)))
        return True

    def on_empty(self, at: float) -> None:
        """The bucket is empty: the shadow fills up, and a measurement begins."""
        self._begin(at)
        self._level = 1 + self._credit + min(CUSHION, self.burst - 1)
        self._level_at = at

    def measure_burst(self) -> None:
        """See, with the rate known, how much the bucket held when it was last full.

        A rate that is still too high makes the burst look too small, so it shrinks by one at a time.
        """
        if self._from_full is not None:
            self.burst = max(self.burst - 1, burst_seen(*self._from_full, self.rate))
            self._from_full = None

    def snapshot(self, now: float) -> dict[str, Any]:
        """The learned state for JSON; instants as seconds ago."""
        full = self._from_full
        return {
            "rate": self.rate,
            "burst": self.burst,
            "level": self._level,
            "level_ago": None if self._level_at == -math.inf else max(0.0, now - self._level_at),
            "count": self.count,
            "empty_ago": None if self._empty_at is None else ago(now, self._empty_at),
            "from_full": None if full is None else [[ago(now, at) for at in full[0]], ago(now, full[1])],
        }

    def restore(self, kept: BucketSnapshot, then: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self.rate, self.burst, self.count = kept.rate, kept.burst, kept.count
        self._level, self._level_at = min(kept.level, 1 + self._credit + CUSHION), -math.inf
        if kept.level_ago is not None:
            self._level_at = then - kept.level_ago
        self._empty_at = None if kept.empty_ago is None else then - kept.empty_ago
        if kept.from_full is not None:
            admitted, refused = kept.from_full
            self._from_full = [then - one for one in admitted], then - refused

    def since(self, admitted: Sequence[float]) -> Sequence[float]:
        """The requests that were admitted since it was last empty or full."""
        return admitted[max(0, len(admitted) - self.count) :]

    def _begin(self, empty_at: float | None) -> None:
        self.count = 0
        self._empty_at = empty_at

    @property
    def _credit(self) -> float:
        return (self.burst - 1) * USED_SHARE

    def _level_after(self, now: float, pace: float) -> float:
        return max(0.0, self._level - max(0.0, now - self._level_at) * pace)


def highest_rate(admitted: Sequence[float], refused_at: float, burst: int, measured: float) -> tuple[float, int]:
    """The highest refill, tokens/s, with which a bucket of `burst` refuses at `refused_at`; and that burst, or more.

    Seen from each request admitted since the bucket was last full or empty, the tokens refilled up to the refusal were
    fewer than the requests beyond the burst; the highest bound holds, or what was `measured` from empty to empty. A
    burst that would also have refused what was admitted is too small: one token more is tried.
    """
    count = len(admitted)
    while True:
        bounds = [(count - i + 1 - burst) / max(refused_at - at, INSTANT_S) for i, at in enumerate(admitted)]
        bound = max(bounds, default=0.0)
        if bound <= measured:
            return measured, burst
        first = bounds.index(bound)
        gaps, span = count - first, refused_at - admitted[first] + INSTANT_S / 1000
        if all(later - at > span for at, later in zip(admitted, admitted[gaps:], strict=False)):
            return bound, burst
        burst += 1


def closest(admitted: Sequence[float]) -> float:
    """The rate of the two that came closest: where spacing is strict it is sustained, as nothing was saved up."""
    return 1 / max(min((later - at for at, later in pairwise(admitted)), default=0.0), INSTANT_S)


def burst_seen(admitted: Sequence[float], refused_at: float, rate: float) -> int:
    """How much a bucket, refilled at `rate`, held that was full before `admitted` and empty at `refused_at`."""
    instants = [*admitted, refused_at]
    taken = 1.0
    for before, at in pairwise(instants):
        taken = max(0.0, taken - rate * (at - before)) + 1
    return max(1, math.ceil(taken) - 1)
