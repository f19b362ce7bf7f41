"""The quota laws, as pure objects: what is admitted depends on the instants of the requests alone.

Instants are seconds on any clock that never goes back. Every law also says how long a refused client has to wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pdpp_worker.demo.provider.options import QuotaOptions

REFUSAL_WINDOW_S = 60.0


class Verdict(StrEnum):
    """What the quota said to one request."""

    UNCHARGED = "uncharged"
    ADMITTED = "admitted"
    REFUSED = "refused"
    FLAGGED = "flagged"
    """Refused, and the last straw: the penalty begins."""
    BOXED = "boxed"
    """Refused because of a penalty."""

    @property
    def refuses(self) -> bool:
        """Whether the request is answered with 429."""
        return self in (Verdict.REFUSED, Verdict.FLAGGED, Verdict.BOXED)


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, and after a refusal the seconds until the same request would be admitted."""

    verdict: Verdict
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Left:
    """What a provider that announces its limit would say: requests left until the reset, and s until it."""

    remaining: int
    reset_s: float


ADMITTED = Decision(Verdict.ADMITTED)
UNCHARGED = Decision(Verdict.UNCHARGED)


def _refused(wait_s: float) -> Decision:
    return Decision(Verdict.REFUSED, wait_s)


class Law(Protocol):
    """Decides request by request; a refused request costs nothing of the quota."""

    def admit(self, now: float) -> Decision:
        """Decide on a request that arrives at `now` (s)."""
        ...

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Let the rate change at `now` (s); what was granted before stays granted."""
        ...


class Unlimited:
    """Admits everything, and charges nothing."""

    def admit(self, now: float) -> Decision:  # noqa: ARG002 - the same at every instant
        """Never refuse."""
        return UNCHARGED

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """No rate to change."""


class TokenBucket:
    """`burst` tokens at most, refilled at `rate_per_s`; a request takes one."""

    def __init__(self, rate_per_s: float, burst: float, start: float) -> None:
        self._rate, self._burst = rate_per_s, burst
        self._tokens, self._filled_at = burst, start

    def wait_s(self, now: float, cost: float = 1.0) -> float:
        """How long a request would have to wait, s; nothing is taken."""
        self._refill(now)
        return max(0.0, (cost - self._tokens) / self._rate)

    def left(self, now: float) -> Left:
        """The whole tokens that are there, and the time until the bucket is full."""
        self._refill(now)
        return Left(int(self._tokens), (self._burst - self._tokens) / self._rate)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def admit(self, now: float, cost: float = 1.0) -> Decision:
        """Take the tokens if they are all there."""
        if wait_s := self.wait_s(now, cost):
            return _refused(wait_s)
        self._tokens -= cost
        return ADMITTED

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Refill at another rate from `now` on."""
        self._refill(now)
        self._rate = rate_per_s


class SlidingWindow:
    """At most `rate_per_s * window_s` admissions in any half-open window of that length."""

    def __init__(self, rate_per_s: float, window_s: float) -> None:
        self._window = window_s
        self._admitted: deque[float] = deque()
        self._limit = _window_limit(rate_per_s, window_s)

    def wait_s(self, now: float) -> float:
        """How long a request would have to wait, s; nothing is taken."""
        while self._admitted and now - self._admitted[0] >= self._window:
            self._admitted.popleft()
        full = len(self._admitted) >= self._limit
        return self._admitted[-self._limit] + self._window - now if full else 0.0

    def left(self, now: float) -> Left:
        """The room that is left, and the time until there is one more."""
        wait_s = self.wait_s(now)
        oldest = self._admitted[0] + self._window - now if self._admitted else 0.0
        return Left(max(0, self._limit - len(self._admitted)), max(wait_s, oldest))

    def admit(self, now: float) -> Decision:
        """Admit unless the window that ends now is full."""
        if wait_s := self.wait_s(now):
            return _refused(wait_s)
        self._admitted.append(now)
        return ADMITTED

    def set_rate(self, rate_per_s: float, now: float) -> None:  # noqa: ARG002 - holds for the next request
        """Another limit for the window that ends with the next request."""
        self._limit = _window_limit(rate_per_s, self._window)


class FixedWindow:
    """At most `rate_per_s * window_s` admissions between two multiples of the window's length."""

    def __init__(self, rate_per_s: float, window_s: float) -> None:
        self._window = window_s
        self._limit = _window_limit(rate_per_s, window_s)
        self._number, self._used = -1, 0

    def wait_s(self, now: float) -> float:
        """How long a request would have to wait, s; nothing is taken."""
        number = int(now // self._window)
        if number != self._number:
            self._number, self._used = number, 0
        return (number + 1) * self._window - now if self._used >= self._limit else 0.0

    def left(self, now: float) -> Left:
        """What is left of the window, and the time until the next one."""
        self.wait_s(now)
        return Left(max(0, self._limit - self._used), (self._number + 1) * self._window - now)

    def admit(self, now: float) -> Decision:
        """Admit unless the current window is used up."""
        if wait_s := self.wait_s(now):
            return _refused(wait_s)
        self._used += 1
        return ADMITTED

    def set_rate(self, rate_per_s: float, now: float) -> None:  # noqa: ARG002 - holds for the next request
        """Another limit, for the current window too."""
        self._limit = _window_limit(rate_per_s, self._window)


def _window_limit(rate_per_s: float, window_s: float) -> int:
    return max(1, round(rate_per_s * window_s))


class Drift:
    """Another law whose rate changes at given instants (seconds after `start`)."""

    def __init__(self, law: Law, steps: tuple[tuple[float, float], ...], start: float) -> None:
        self._law = law
        self._due = deque((start + after, rate) for after, rate in steps)

    def admit(self, now: float) -> Decision:
        """Decide by the rate in force at `now`."""
        while self._due and self._due[0][0] <= now:
            at, rate = self._due.popleft()
            self.set_rate(rate, at)
        return self._law.admit(now)

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate until the next step."""
        self._law.set_rate(rate_per_s, now)


class Peekable(Protocol):
    """A law that can be asked before anything is taken."""

    def wait_s(self, now: float) -> float:
        """How long a request would have to wait, s."""
        ...

    def admit(self, now: float) -> Decision:
        """Decide on a request that arrives at `now` (s)."""
        ...


class Nested:
    """Several limits at once, as by the minute and by the day: a request is charged to all or to none."""

    def __init__(self, *laws: Peekable) -> None:
        self._laws = laws

    def admit(self, now: float) -> Decision:
        """Admit what every limit admits."""
        if wait_s := max(law.wait_s(now) for law in self._laws):
            return _refused(wait_s)
        for law in self._laws:
            law.admit(now)
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
    """Another law that closes for `penalty_s` at the `refusals`-th refusal within a minute: one flag each."""

    def __init__(self, law: Law, refusals: int, penalty_s: float) -> None:
        self._law, self._allowed, self._penalty = law, refusals, penalty_s
        self._refused_at: deque[float] = deque(maxlen=refusals)
        self._closed_until = float("-inf")

    def admit(self, now: float) -> Decision:
        """Refuse while closed; else let the law decide, and count its refusals."""
        if now < self._closed_until:
            return Decision(Verdict.BOXED, self._closed_until - now)
        decision = self._law.admit(now)
        if not decision.verdict.refuses:
            return decision
        self._refused_at.append(now)
        if len(self._refused_at) < self._allowed or now - self._refused_at[0] >= REFUSAL_WINDOW_S:
            return decision
        self._refused_at.clear()
        self._closed_until = now + self._penalty
        return Decision(Verdict.FLAGGED, self._penalty)

    def set_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate of the law inside."""
        self._law.set_rate(rate_per_s, now)


def build_law(options: QuotaOptions, start: float) -> Law:
    """The law that `options` describe, beginning at `start` (s) with its full allowance."""
    laws: dict[str, Callable[[], Law]] = {
        "none": Unlimited,
        "bucket": lambda: TokenBucket(options.rate_per_s, options.burst, start),
        "sliding": lambda: SlidingWindow(options.rate_per_s, options.window_s),
        "fixed": lambda: FixedWindow(options.rate_per_s, options.window_s),
    }
    law = laws[options.law]()
    if options.steps:
        law = Drift(law, options.steps, start)
    return PenaltyBox(law, options.penalty_refusals, options.penalty_s) if options.penalty_refusals else law


class Quota:
    """A law with a clock (seconds, never going back) and a scope: `details` charges only those kinds of request."""

    CHARGED_AS_DETAILS = frozenset({"detail", "batch"})

    def __init__(self, options: QuotaOptions, clock: Callable[[], float]) -> None:
        self.options = options
        self._clock = clock
        self._law = build_law(options, clock())

    def charge(self, kind: str) -> Decision:
        """Decide on a request of this kind, now."""
        if self.options.scope == "details" and kind not in self.CHARGED_AS_DETAILS:
            return UNCHARGED
        return self._law.admit(self._clock())
