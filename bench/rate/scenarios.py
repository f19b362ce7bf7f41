"""The families of providers that a law is judged by, one provider for each seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.rate.providers import (
    SINE_PERIOD_S,
    BadItem,
    ByHand,
    Provider,
    Shedding,
    Sine,
    Tell,
    always,
    honest,
    silent,
)
from bench.rate.simulator import Client
from pdpp_worker.conformance.quota.combined import Costs, Drift, Nested, PenaltyBox
from pdpp_worker.conformance.quota.models import FixedWindow, QuotaModel, SlidingWindow, TokenBucket, Unlimited

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
USUAL = Client()
FAST = Client(ceiling_s=0.06, latency_s=0.02)
"""Where quotas are above what answers of a third of a second allow."""
LONG = Client(run_s=4 * HOUR_S, every_s=4 * HOUR_S)


@dataclass(frozen=True, slots=True)
class Draw:
    """One seed's parameters; `seed` draws what else a provider needs, the same for every client."""

    seed: int
    rate_per_s: float
    burst: int
    phase_s: float
    step_s: float


Build = Callable[[Draw], QuotaModel]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A family of providers; `open_build` makes the law of the all-knowing client, if it is another."""

    name: str
    build: Build
    open_build: Build | None = None
    tell: Tell = silent
    error_share: float = 0.0
    shed: float = 0.0
    """The share of the requests that is refused at random."""
    rates: tuple[float, float] = (0.4, 2.5)
    bursts: tuple[int, int] = (1, 30)
    announces: bool = False
    client: Client = USUAL

    def draw(self, seed: int) -> Draw:
        """The parameters of one seed."""
        rng = random.Random(f"{seed}")
        low, high = self.rates
        return Draw(
            seed=seed,
            rate_per_s=math.exp(rng.uniform(math.log(low), math.log(high))),
            burst=rng.randint(*self.bursts),
            phase_s=rng.uniform(0, SINE_PERIOD_S),
            step_s=rng.uniform(600, 1800),
        )

    def provider(self, seed: int) -> Provider:
        """The provider of one seed."""
        draw = self.draw(seed)
        law = self._shedding(self.build(draw), seed)
        provider = Provider(law, draw.phase_s, self.tell, self.error_share)
        if self.announces:
            assert isinstance(law, TokenBucket | SlidingWindow | FixedWindow)
            provider.announcing = law
        return provider

    def open_law(self, seed: int) -> QuotaModel:
        """The law as the all-knowing client asks it."""
        return (self.open_build or self.build)(self.draw(seed))

    def open_provider(self, seed: int) -> Provider:
        """A provider for the all-knowing client: it charges itself."""
        return Provider(Unlimited(), self.draw(seed).phase_s, error_share=self.error_share)

    def shedding_alone(self, seed: int) -> Provider:
        """A provider for a client that charges itself, and cannot know which request is shed."""
        return Provider(self._shedding(Unlimited(), seed), self.draw(seed).phase_s, error_share=self.error_share)

    def _shedding(self, law: QuotaModel, seed: int) -> QuotaModel:
        return Shedding(law, self.shed, random.Random(f"shed {seed}")) if self.shed else law


def _bucket(draw: Draw) -> TokenBucket:
    return TokenBucket(draw.rate_per_s, draw.burst, 0.0)


def _sine(draw: Draw) -> Sine:
    return Sine(_bucket(draw), draw.rate_per_s)


def _steps(draw: Draw) -> QuotaModel:
    """The steps come while the client collects, at the same places of every schedule of runs."""
    first, second = (draw.phase_s + _wall_s(active) for active in (draw.step_s, 2.5 * draw.step_s))
    return Drift(TokenBucket(1.0, draw.burst, 0.0), ((first, 0.4), (second, 1.3)), 0.0)


def _wall_s(active_s: float, run_s: float = 900.0, every_s: float = HOUR_S) -> float:
    return active_s // run_s * every_s + active_s % run_s


def _fixed(draw: Draw, window_s: float = MINUTE_S) -> QuotaModel:
    return FixedWindow(draw.rate_per_s, window_s)


def _sliding(draw: Draw, window_s: float = MINUTE_S) -> QuotaModel:
    return SlidingWindow(draw.rate_per_s, window_s)


def _boxed(draw: Draw, refusals: int, penalty_s: float) -> QuotaModel:
    return PenaltyBox(_bucket(draw), refusals, penalty_s)


def _by_hand(draw: Draw) -> QuotaModel:
    return ByHand(_bucket(draw), random.Random(f"hand {draw.seed}"), draw.phase_s)


def _bad_item(draw: Draw) -> QuotaModel:
    return BadItem(_bucket(draw), every=150)


def _minute_and_day(draw: Draw) -> QuotaModel:
    return Nested(FixedWindow(draw.rate_per_s, MINUTE_S), FixedWindow(1000 / DAY_S, DAY_S))


def _second_and_hour(draw: Draw) -> QuotaModel:
    return Nested(TokenBucket(3 * draw.rate_per_s, 5, 0.0), FixedWindow(0.3 * draw.rate_per_s, HOUR_S))


def _costs(draw: Draw) -> QuotaModel:
    return Costs(TokenBucket(3 * draw.rate_per_s, max(10, 3 * draw.burst), 0.0), (1, 1, 1, 2, 10))


def _unlimited(_: Draw) -> QuotaModel:
    return Unlimited()


SLOW = (3 / 60, 6 / 60)

STATIONARY = (
    Scenario("bucket", _bucket),
    Scenario("bucket, Retry-After", _bucket, tell=honest),
    Scenario("sliding minute", _sliding),
    Scenario("sliding minute, Retry-After", _sliding, tell=honest),
    Scenario("fixed minute", _fixed),
    Scenario("fixed minute, Retry-After", _fixed, tell=honest),
    Scenario("strict spacing", _bucket, bursts=(1, 1)),
    Scenario("box 5 a minute", partial(_boxed, refusals=5, penalty_s=600.0), _bucket),
    Scenario("box 3 a minute", partial(_boxed, refusals=3, penalty_s=1800.0), _bucket),
    Scenario("bucket, 1 % errors", _bucket, error_share=0.01),
    Scenario("slow bucket", _bucket, rates=SLOW),
    Scenario("slow fixed minute", _fixed, rates=SLOW),
    Scenario("slow sliding minute", _sliding, rates=SLOW),
    Scenario("225, then one a minute", _bucket, rates=(1 / 60, 1 / 60), bursts=(225, 225)),
)
DRIFTING = (
    Scenario("steps 1, 0.4, 1.3", _steps),
    Scenario("sine", _sine),
)
QUICK = (
    Scenario("exactly 8/s, burst 10", _bucket, rates=(8.0, 8.0), bursts=(10, 10), client=FAST),
    Scenario("quick bucket", _bucket, rates=(5.0, 16.0), client=FAST),
    Scenario("quick strict spacing", _bucket, rates=(5.0, 16.0), bursts=(1, 1), client=FAST),
)
UNRELATED = (
    Scenario("sheds 0.5 %", _bucket, shed=0.005),
    Scenario("sheds 1 %", _bucket, shed=0.01),
    Scenario("sheds 3 %", _bucket, shed=0.03),
    Scenario("no limit, sheds 1 %", _unlimited, shed=0.01),
    Scenario("used by hand", _by_hand, bursts=(8, 30)),
    Scenario("item always refused", _bad_item, _bucket),
)
LYING = (
    Scenario("Retry-After always 60", _bucket, tell=partial(always, told_s=60.0)),
    Scenario("Retry-After always 3,600", _bucket, tell=partial(always, told_s=3600.0)),
    Scenario("Retry-After always 0", _fixed, tell=partial(always, told_s=0.0)),
    Scenario("Retry-After in the past", _bucket, tell=partial(always, told_s=-30.0)),
)
WINDOWS = tuple(
    Scenario(
        f"{kind} {name}{', Retry-After' if tell is honest else ''}",
        partial(build, window_s=window_s),
        tell=tell,
        client=client,
    )
    for name, window_s, client in (
        ("10 s", 10.0, USUAL),
        ("30 s", 30.0, USUAL),
        ("10 min", 600.0, USUAL),
        ("hour", HOUR_S, USUAL),
        ("hour without pause", HOUR_S, LONG),
    )
    for kind, build in (("fixed", _fixed), ("sliding", _sliding))
    for tell in (honest, silent)
)
ANNOUNCED = (
    Scenario("announced fixed minute", _fixed, announces=True),
    Scenario("announced sliding minute", _sliding, announces=True),
    Scenario("announced fixed hour", partial(_fixed, window_s=HOUR_S), announces=True),
    Scenario("announced bucket", _bucket, bursts=(2, 30), announces=True),
)
NESTED = (
    Scenario("minute and day", _minute_and_day),
    Scenario("second and hour", _second_and_hour),
    Scenario("costs 1, 1, 1, 2, 10", _costs),
)
SCENARIOS = (*STATIONARY, *DRIFTING, *QUICK, *UNRELATED, *LYING, *WINDOWS, *ANNOUNCED, *NESTED)
