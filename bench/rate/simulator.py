"""A serial client against a provider, in virtual time: hours of traffic in milliseconds.

The client sends one request at a time. The provider decides at the instant of the send; the answer comes after a
lognormal latency. A client collects for `run_s` every `every_s`, until all items are there.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.rate.providers import Provider
from pdpp_worker.pacing.announced import Announced

MINUTE_S = 60.0
TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Client:
    """How fast it may send, how soon it is answered (median and spread of a lognormal), when it runs; all in s."""

    ceiling_s: float = 0.25
    latency_s: float = 0.3
    latency_sigma: float = 0.5
    run_s: float = 900.0
    every_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Setting:
    """How much is collected, and where that is given up."""

    items: int = 4188
    runs: int = 400
    sends: int = 20_000
    """Where a drain is cut short; its throughput is that of the time until then."""


class Policy(Protocol):
    """A rate law. Instants are seconds; `retry_after_s` is None when the provider did not say."""

    def next_send(self, now: float) -> float:
        """The earliest instant of the next request."""
        ...

    def on_send(self, now: float) -> None:
        """A request goes out."""
        ...

    def on_announced(self, now: float, limits: Sequence[Announced]) -> None:
        """The answer says what is left; its outcome follows."""
        ...

    def on_success(self, now: float) -> None:
        """Note an answer."""
        ...

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:
        """Note a refusal for the rate."""
        ...

    def on_upstream_error(self, now: float) -> None:
        """Note a failure at the provider."""
        ...

    def snapshot(self, now: float) -> dict[str, Any]:
        """The rate that a run leaves behind."""
        ...

    def restore(self, snapshot: dict[str, Any], now: float, age_s: float) -> object:
        """A run begins with what the last one left."""
        ...


@dataclass(slots=True)
class Drain:
    """The outcome of one drain. `trace` holds (instant, gap to the send before, refused) of every send."""

    items: int = 0
    sends: int = 0
    refused: int = 0
    flags: int = 0
    too_close: int = 0
    most_refused: int = 0
    active_s: float = 0.0
    later_minutes: int = 0
    """First minutes of the runs after the first, and the items that they collected."""
    later_minute_items: int = 0
    trace: list[tuple[float, float, bool]] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """Items collected per second of collecting."""
        return self.items / self.active_s

    @property
    def refused_share(self) -> float:
        """Refused requests among all."""
        return self.refused / self.sends

    @property
    def first_minute(self) -> float:
        """The rate in the first minute of a later run, as a share of the rate over all; NaN after one run."""
        return self.later_minute_items / MINUTE_S / self.later_minutes / self.per_s if self.later_minutes else math.nan


def drain(
    make: Callable[[], Policy],
    provider: Provider,
    setting: Setting,
    client: Client,
    *,
    seed: int,
    warm: bool = True,
    trace: bool = False,
) -> Drain:
    """Collect all items; without `warm`, every run begins with a policy that knows nothing."""
    result = Drain()
    session = _Session(provider, setting, client, random.Random(seed), result, trace=trace)
    left: tuple[dict[str, Any], float] | None = None
    for number in range(setting.runs):
        start = provider.phase_s + number * client.every_s
        policy = make()
        if warm and left is not None:
            policy.restore(left[0], start, start - left[1])
        before = result.items
        end = session.run(policy, start)
        if number and end - start >= MINUTE_S:
            result.later_minutes += 1
            result.later_minute_items += session.items_after_a_minute - before
        left = policy.snapshot(end), end
        result.active_s += end - start
        if session.is_done:
            break
    return result


class _Session:
    def __init__(
        self, provider: Provider, setting: Setting, client: Client, rng: random.Random, result: Drain, *, trace: bool
    ) -> None:
        self._provider, self._setting, self._client, self._result = provider, setting, client, result
        self._rng, self._trace = rng, trace
        self.items_after_a_minute = 0
        self._sent_at = -math.inf
        self._refusals: deque[float] = deque()

    def run(self, policy: Policy, start: float) -> float:
        """One run; returns when it ended."""
        now, end = start, start + self._client.run_s
        self.items_after_a_minute = 0
        while not self.is_done:
            if now - start < MINUTE_S:
                self.items_after_a_minute = self._result.items
            at = max(now, policy.next_send(now))
            if at >= end:
                return end
            now = min(end, self._send(policy, at))
        return now

    @property
    def is_done(self) -> bool:
        """All is collected, or it was too much."""
        return self._result.items >= self._setting.items or self._result.sends >= self._setting.sends

    def _send(self, policy: Policy, at: float) -> float:
        result, provider = self._result, self._provider
        if at - self._sent_at < self._client.ceiling_s - TOLERANCE_S:
            result.too_close += 1
        policy.on_send(at)
        decision = provider.admit(at)
        refused = decision.verdict.refuses
        if self._trace:
            result.trace.append((at, at - self._sent_at, refused))
        self._sent_at = at
        result.sends += 1
        answered = at + self._rng.lognormvariate(math.log(self._client.latency_s), self._client.latency_sigma)
        if provider.announcing is not None:
            left = provider.announcing.left(at)
            policy.on_announced(answered, [Announced(left.remaining, max(0.0, left.reset_s - (answered - at)))])
        if refused:
            self._count_refusal(at)
            policy.on_throttle(answered, provider.retry_after(decision.wait_s - (answered - at)))
        elif self._rng.random() < provider.error_share:
            policy.on_upstream_error(answered)
        else:
            result.items += 1
            policy.on_success(answered)
        result.flags = provider.flags
        return answered

    def _count_refusal(self, at: float) -> None:
        self._result.refused += 1
        self._refusals.append(at)
        while at - self._refusals[0] > MINUTE_S:
            self._refusals.popleft()
        self._result.most_refused = max(self._result.most_refused, len(self._refusals))
