"""Quota models that are made of others: drift, several limits, requests of different cost, penalties."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from pdpp_worker.conformance.quota.decisions import ADMITTED, Decision, Verdict, refused
from pdpp_worker.conformance.quota.models import FixedWindow, QuotaModel, SlidingWindow, TokenBucket, Unlimited
from pdpp_worker.conformance.quota.options import QuotaOptions

REFUSAL_WINDOW_S = 60.0


class Drift:
    """Another model whose rate changes at given instants (seconds after `start`)."""

    def __init__(self, model: QuotaModel, steps: tuple[tuple[float, float], ...], start: float) -> None:
        self._model = model
        self._due = deque((start + after, rate) for after, rate in steps)

    def admit(self, now: float) -> Decision:
        """Decide by the rate in force at `now`."""
        while self._due and self._due[0][0] <= now:
            at, rate = self._due.popleft()
            self.set_rate(rate, at)
        return self._model.admit(now)

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate until the next step."""
        self._model.set_rate(rate_per_s, now)


class Peekable(Protocol):
    """A model that can be asked before anything is taken."""

    def wait_s(self, now: float) -> float:
        """The wait of a request, s."""
        ...

    def admit(self, now: float) -> Decision:
        """Decide on a request that arrives at `now` (s)."""
        ...


class Nested:
    """Several limits at once, as by the minute and by the day: a request is charged to all or to none."""

    def __init__(self, *models: Peekable) -> None:
        self._models = models

    def admit(self, now: float) -> Decision:
        """Admit what every limit admits."""
        if wait_s := max(model.wait_s(now) for model in self._models):
            return refused(wait_s)
        for model in self._models:
            model.admit(now)
        return ADMITTED

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Its limits do not change."""


class Costs:
    """A bucket whose requests take different numbers of tokens, in turn; one that was refused is asked for again."""

    def __init__(self, bucket: TokenBucket, costs: tuple[float, ...]) -> None:
        self._bucket = bucket
        self._costs = deque(costs)

    def admit(self, now: float) -> Decision:
        """Charge what the next request costs."""
        decision = self._bucket.admit(now, self._costs[0])
        if not decision.verdict.refuses:
            self._costs.rotate(-1)
        return decision

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Refill at another rate from `now` on."""
        self._bucket.set_rate(rate_per_s, now)


class PenaltyBox:
    """Another model that closes for `penalty_s` at the `refusals`-th refusal within a minute: one flag each."""

    def __init__(self, model: QuotaModel, refusals: int, penalty_s: float) -> None:
        self._model, self._allowed, self._penalty = model, refusals, penalty_s
        self._refused_at: deque[float] = deque(maxlen=refusals)
        self._closed_until = float("-inf")

    def admit(self, now: float) -> Decision:
        """Refuse while closed; else let the model decide, and count its refusals."""
        if now < self._closed_until:
            return Decision(Verdict.BOXED, self._closed_until - now)
        decision = self._model.admit(now)
        if not decision.verdict.refuses:
            return decision
        self._refused_at.append(now)
        if len(self._refused_at) < self._allowed or now - self._refused_at[0] >= REFUSAL_WINDOW_S:
            return decision
        self._refused_at.clear()
        self._closed_until = now + self._penalty
        return Decision(Verdict.FLAGGED, self._penalty)

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate of the model inside."""
        self._model.set_rate(rate_per_s, now)


def build_model(options: QuotaOptions, start: float) -> QuotaModel:
    """The model that `options` describe, beginning at `start` (s) with its full allowance."""
    models: dict[str, Callable[[], QuotaModel]] = {
        "none": Unlimited,
        "bucket": lambda: TokenBucket(options.rate_per_s, options.burst, start),
        "sliding": lambda: SlidingWindow(options.rate_per_s, options.window_s),
        "fixed": lambda: FixedWindow(options.rate_per_s, options.window_s),
    }
    model = models[options.model]()
    if options.steps:
        model = Drift(model, options.steps, start)
    return PenaltyBox(model, options.penalty_refusals, options.penalty_s) if options.penalty_refusals else model
