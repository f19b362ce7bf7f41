"""A provider as one client meets it: a quota law, and the manner in which it refuses, fails and tells."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Protocol

from pdpp_worker.conformance.quota.decisions import Decision, Left, Verdict
from pdpp_worker.conformance.quota.models import QuotaModel

SINE_PERIOD_S = 4 * 3600.0
SINE_DEPTH = 0.6

Tell = Callable[[float], float | None]
"""The Retry-After, s, of a refusal whose true wait is so long."""


def silent(wait_s: float) -> None:
    """No Retry-After."""


def honest(wait_s: float) -> float:
    """Whole seconds, rounded up, at least one."""
    return max(1.0, math.ceil(wait_s))


def always(_: float, told_s: float) -> float:
    """The same, whatever the wait."""
    return told_s


class Announcing(Protocol):
    """A law that can say what is left."""

    def left(self, now: float) -> Left:
        """Requests left until the reset."""
        ...


class Provider:
    """A law as it is met; `phase_s` is the place of the first run in its time."""

    def __init__(self, law: QuotaModel, phase_s: float, tell: Tell = silent, error_share: float = 0.0) -> None:
        self.phase_s, self.error_share, self.retry_after = phase_s, error_share, tell
        self.announcing: Announcing | None = None
        self._law = law
        self.flags = 0

    def admit(self, now: float) -> Decision:
        """Decide on a request."""
        decision = self._law.admit(now)
        if decision.verdict is Verdict.FLAGGED:
            self.flags += 1
        return decision


class Sine:
    """Another law whose rate swings around its mean."""

    def __init__(self, law: QuotaModel, mean_per_s: float) -> None:
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


class Shedding:
    """Another law, beside which a share of the requests is refused at random."""

    def __init__(self, law: QuotaModel, share: float, rng: random.Random) -> None:
        self._law, self._share, self._rng = law, share, rng

    def admit(self, now: float) -> Decision:
        """Refuse some whatever the rate; they are not charged."""
        return Decision(Verdict.REFUSED) if self._rng.random() < self._share else self._law.admit(now)

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate of the law inside."""
        self._law.set_rate(rate_per_s, now)


class BadItem:
    """Another law, beside which one item is asked for again after so many requests, twice, and always refused."""

    def __init__(self, law: QuotaModel, every: int, tries: int = 2) -> None:
        self._law, self._every, self._tries = law, every, tries
        self._seen = 0

    def admit(self, now: float) -> Decision:
        """Refuse the item whatever the rate."""
        self._seen += 1
        bad = (self._seen + self._tries) % self._every < self._tries
        return Decision(Verdict.REFUSED) if bad else self._law.admit(now)

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate of the law inside."""
        self._law.set_rate(rate_per_s, now)


class ByHand:
    """Another law, which the owner of the account uses as well: pages looked at in sittings, a few requests each."""

    def __init__(self, law: QuotaModel, rng: random.Random, start: float) -> None:
        self._law = law
        self._uses = sitting_uses(rng, start)
        self._next = next(self._uses)

    def admit(self, now: float) -> Decision:
        """Charge what the owner did until now, and decide."""
        while self._next <= now:
            self._law.admit(self._next)
            self._next = next(self._uses)
        return self._law.admit(now)

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate of the law inside."""
        self._law.set_rate(rate_per_s, now)


def sitting_uses(rng: random.Random, start: float) -> Iterator[float]:
    """Instants of requests by hand: about every half hour ten minutes, in which 1 to 8 come about every minute."""
    at = start
    while True:
        at += rng.expovariate(1 / 1800)
        end = at + rng.expovariate(1 / 600)
        while at < end:
            for _ in range(rng.randint(1, 8)):
                at += rng.uniform(0.05, 0.5)
                yield at
            at += rng.expovariate(1 / 60)
