"""Providers to collect from: the demonstration's quota laws, with parameters drawn from a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from pdpp_worker.demo.provider.laws import (
    Decision,
    Drift,
    FixedWindow,
    Law,
    PenaltyBox,
    SlidingWindow,
    TokenBucket,
    Verdict,
)

WINDOW_S = 60.0
RUN_S, EVERY_S = 900.0, 3600.0
SINE_PERIOD_S = 4 * 3600.0
SINE_DEPTH = 0.6


class Provider:
    """A quota law and what goes with it: Retry-After, server errors, the place of the first run in its time."""

    def __init__(
        self, law: Law, phase_s: float, *, tells_wait: bool, error_share: float, open_law: Law | None = None
    ) -> None:
        self.phase_s, self.error_share = phase_s, error_share
        self._law, self._tells_wait = law, tells_wait
        self.open_law = open_law or law
        self.flags = 0

    def admit(self, now: float) -> Decision:
        """Decide on a request."""
        decision = self._law.admit(now)
        if decision.verdict is Verdict.FLAGGED:
            self.flags += 1
        return decision

    def retry_after(self, wait_s: float) -> float | None:
        """The header's value: whole seconds, rounded up, at least one."""
        return max(1.0, math.ceil(wait_s)) if self._tells_wait else None


class Sine:
    """Another law whose rate swings around its mean."""

    def __init__(self, law: Law, mean_per_s: float) -> None:
        self._law, self._mean = law, mean_per_s

    def admit(self, now: float) -> Decision:
        """Decide by the rate in force at `now`."""
        self.set_rate(self.rate_at(now), now)
        return self._law.admit(now)

    def rate_at(self, now: float) -> float:
        """The rate in force at `now`."""
        return self._mean * (1 + SINE_DEPTH * math.sin(2 * math.pi * now / SINE_PERIOD_S))

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Set the rate in force."""
        self._law.set_rate(rate_per_s, now)


@dataclass(frozen=True, slots=True)
class Draw:
    """One seed's parameters."""

    rate_per_s: float
    burst: int
    phase_s: float
    step_s: float
    errors: bool = False


Build = Callable[[Draw], tuple[Law, Law | None]]


def _open(make: Callable[[Draw], Law]) -> Build:
    return lambda draw: (make(draw), None)


def _bucket(draw: Draw) -> Law:
    return TokenBucket(draw.rate_per_s, draw.burst, 0.0)


def _steps(draw: Draw) -> Law:
    """The steps come while the client collects, at the same places of every schedule of runs."""
    first, second = (draw.phase_s + _wall_s(active) for active in (draw.step_s, 2.5 * draw.step_s))
    return Drift(TokenBucket(1.0, draw.burst, 0.0), ((first, 0.4), (second, 1.3)), 0.0)


def _wall_s(active_s: float) -> float:
    return active_s // RUN_S * EVERY_S + active_s % RUN_S


def _boxed(refusals: int, penalty_s: float) -> Build:
    return lambda draw: (PenaltyBox(_bucket(draw), refusals, penalty_s), _bucket(draw))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A family of providers, one for each seed."""

    name: str
    build: Build
    tells_wait: bool = False
    error_share: float = 0.0
    rates: tuple[float, float] = (0.4, 2.5)
    bursts: tuple[int, int] = (1, 30)

    def provider(self, seed: int) -> Provider:
        """The provider of one seed."""
        rng = random.Random(f"{seed}")
        low, high = self.rates
        draw = Draw(
            rate_per_s=math.exp(rng.uniform(math.log(low), math.log(high))),
            burst=rng.randint(*self.bursts),
            phase_s=rng.uniform(0, SINE_PERIOD_S),
            step_s=rng.uniform(600, 1800),
        )
        law, open_law = self.build(draw)
        return Provider(law, draw.phase_s, tells_wait=self.tells_wait, error_share=self.error_share, open_law=open_law)


SLOW = (3 / 60, 6 / 60)

SCENARIOS = (
    Scenario("bucket", _open(_bucket)),
    Scenario("bucket, Retry-After", _open(_bucket), tells_wait=True),
    Scenario("sliding minute", _open(lambda d: SlidingWindow(d.rate_per_s, WINDOW_S))),
    Scenario("sliding minute, Retry-After", _open(lambda d: SlidingWindow(d.rate_per_s, WINDOW_S)), tells_wait=True),
    Scenario("fixed minute", _open(lambda d: FixedWindow(d.rate_per_s, WINDOW_S))),
    Scenario("fixed minute, Retry-After", _open(lambda d: FixedWindow(d.rate_per_s, WINDOW_S)), tells_wait=True),
    Scenario("strict spacing", _open(_bucket), bursts=(1, 1)),
    Scenario("steps 1, 0.4, 1.3", _open(_steps)),
    Scenario("sine", _open(lambda d: Sine(_bucket(d), d.rate_per_s))),
    Scenario("box 5 a minute", _boxed(5, 600.0)),
    Scenario("box 3 a minute", _boxed(3, 1800.0)),
    Scenario("bucket, 1 % errors", _open(_bucket), error_share=0.01),
    Scenario("slow bucket", _open(_bucket), rates=SLOW),
    Scenario("slow fixed minute", _open(lambda d: FixedWindow(d.rate_per_s, WINDOW_S)), rates=SLOW),
    Scenario("slow sliding minute", _open(lambda d: SlidingWindow(d.rate_per_s, WINDOW_S)), rates=SLOW),
    Scenario("225, then one a minute", _open(_bucket), rates=(1 / 60, 1 / 60), bursts=(225, 225)),
)
