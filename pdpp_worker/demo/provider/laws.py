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

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def admit(self, now: float) -> Decision:
        """Take a token if there is a whole one."""
        self._refill(now)
        if self._tokens < 1:
            return _refused((1 - self._tokens) / self._rate)
        self._tokens -= 1
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

    def admit(self, now: float) -> Decision:
        """Admit unless the window that ends now is full."""
        while self._admitted and now - self._admitted[0] >= self._window:
            self._admitted.popleft()
        if len(self._admitted) >= self._limit:
            return _refused(self._admitted[-self._limit] + self._window - now)
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

    def admit(self, now: float) -> Decision:
        """Admit unless the current window is used up."""
        number = int(now // self._window)
        if number != self._number:
            self._number, self._used = number, 0
        if self._used >= self._limit:
            return _refused((number + 1) * self._window - now)
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
