"""Quota models as pure objects: a decision depends on the instants of the requests alone.

Instants are seconds on any clock that never goes back. Every model also says how long a refused client has to wait.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pdpp_worker.conformance.quota.decisions import ADMITTED, UNCHARGED, Decision, Left, refused


class QuotaModel(Protocol):
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
        """Do nothing: this model has no rate to change."""


class TokenBucket:
    """`burst` tokens at most, refilled at `rate_per_s`; a request takes one."""

    def __init__(self, rate_per_s: float, burst: float, start: float) -> None:
        self._rate, self._burst = rate_per_s, burst
        self._tokens, self._filled_at = burst, start

    def wait_s(self, now: float, cost: float = 1.0) -> float:
        """The wait of a request, s; nothing is taken."""
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
            return refused(wait_s)
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
        """The wait of a request, s; nothing is taken."""
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
            return refused(wait_s)
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
        """The wait of a request, s; nothing is taken."""
        number = int(now // self._window)
        if number != self._number:
            self._number, self._used = number, 0
        return (number + 1) * self._window - now if self._used >= self._limit else 0.0

    def left(self, now: float) -> Left:
        """The rest of the window, and the time until the next one."""
        self.wait_s(now)
        return Left(max(0, self._limit - self._used), (self._number + 1) * self._window - now)

    def admit(self, now: float) -> Decision:
        """Admit unless the current window is used up."""
        if wait_s := self.wait_s(now):
            return refused(wait_s)
        self._used += 1
        return ADMITTED

    def set_rate(self, rate_per_s: float, now: float) -> None:  # noqa: ARG002 - holds for the next request
        """Another limit, for the current window too."""
        self._limit = _window_limit(rate_per_s, self._window)


def _window_limit(rate_per_s: float, window_s: float) -> int:
    return max(1, round(rate_per_s * window_s))
