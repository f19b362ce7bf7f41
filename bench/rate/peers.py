"""How others pace: the laws of tools in use, written down from their documentation and source.

Instants and intervals are seconds. None of them keeps what it learned, except the published law.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from bench.rate.published import PublishedPacing
from pdpp_worker.pacing.announced import Announced


class Peer:
    """Sends as fast as the ceiling allows, whatever comes back: what a task queue's own rate limit does.

    Celery's `rate_limit` releases tasks by the clock, and `autoretry_for` puts a refused task back behind the others.
    """

    def __init__(self, ceiling_s: float, rng: random.Random) -> None:
        self._ceiling_s, self._rng = ceiling_s, rng
        self._sent_at = -math.inf
        self._refused_in_a_row = 0

    def next_send(self, now: float) -> float:
        """The earliest instant of the next request."""
        return max(now, self._sent_at + self._ceiling_s)

    def on_send(self, now: float) -> None:
        """A request goes out."""
        self._sent_at = now

    def on_success(self, now: float) -> None:  # noqa: ARG002
        """Note an answer."""
        self._refused_in_a_row = 0

    def on_announced(self, now: float, limits: Sequence[Announced]) -> None:
        """None of them looks at it."""

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:  # noqa: ARG002
        """Note a refusal for the rate."""
        self._refused_in_a_row += 1

    def on_upstream_error(self, now: float) -> None:
        """Note a failure at the provider."""

    def snapshot(self, now: float) -> dict[str, Any]:  # noqa: ARG002
        """The rate that is kept for the next run."""
        return {}

    def restore(self, snapshot: Mapping[str, Any], now: float, age_s: float) -> None:
        """A run begins with what the last one kept."""


class FixedInterval(Peer):
    """A random wait between two bounds before every request."""

    def __init__(self, ceiling_s: float, rng: random.Random, low_s: float, high_s: float) -> None:
        super().__init__(ceiling_s, rng)
        self._low_s, self._high_s = low_s, high_s

    def next_send(self, now: float) -> float:
        """The last request and the wait after it."""
        return max(now, self._sent_at + self._gap_s)

    def on_send(self, now: float) -> None:
        """Draw the next wait."""
        self._sent_at = now
        self._gap_s = self._rng.uniform(self._low_s, self._high_s)

    _gap_s = 0.0


class FullJitter(Peer):
    """No pacing; after the n-th refusal in a row a wait drawn from 0 to 2 ** n seconds, 60 at most (tenacity)."""

    MAX_S = 60.0

    def next_send(self, now: float) -> float:
        """The ceiling, or the wait."""
        return max(super().next_send(now), self._wait_until)

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:
        """Draw a wait; Retry-After is not read."""
        super().on_throttle(now, retry_after_s)
        self._wait_until = now + self._rng.uniform(0, min(self.MAX_S, 2.0**self._refused_in_a_row))

    _wait_until = -math.inf


class AutoThrottle(Peer):
    """Scrapy's AutoThrottle with its defaults and one request at a time.

    The delay moves half-way to the latency of each answer; an answer that is not 200 never shortens it. The wait is
    drawn from half to one and a half delays; the request after a refusal is an ordinary one.
    """

    START_S, MAX_S = 5.0, 60.0

    def __init__(self, ceiling_s: float, rng: random.Random) -> None:
        super().__init__(ceiling_s, rng)
        self._delay_s = self._gap_s = self.START_S

    def next_send(self, now: float) -> float:
        """The last request and the delay drawn for it."""
        return max(now, self._sent_at + self._gap_s)

    def on_send(self, now: float) -> None:
        """Draw the next wait."""
        super().on_send(now)
        self._gap_s = self._delay_s * self._rng.uniform(0.5, 1.5)

    def on_success(self, now: float) -> None:
        """Move towards the latency."""
        self._adjust(now - self._sent_at, ok=True)

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:  # noqa: ARG002
        """A quick refusal looks like a quick server."""
        self._adjust(now - self._sent_at, ok=False)

    def _adjust(self, latency_s: float, *, ok: bool) -> None:
        delay = min(max(latency_s, (self._delay_s + latency_s) / 2, self._ceiling_s), self.MAX_S)
        if ok or delay > self._delay_s:
            self._delay_s = delay


class BotocoreAdaptive(Peer):
    """botocore's retry mode `adaptive`: a token bucket whose fill rate follows the CUBIC law, and three attempts."""

    BETA, SCALE = 0.7, 0.4
    MIN_FILL = 0.5
    SMOOTHING, BUCKET_S = 0.8, 0.5
    ATTEMPTS, MAX_BACKOFF_S = 3, 20.0

    def __init__(self, ceiling_s: float, rng: random.Random) -> None:
        super().__init__(ceiling_s, rng)
        self._fill: float | None = None
        self._tokens, self._filled_at = 0.0, 0.0
        self._measured, self._count, self._bucket = 0.0, 0, -1.0
        self._last_max = self._throttled_at = self._window = 0.0
        self._wait_until = -math.inf

    def next_send(self, now: float) -> float:
        """The ceiling, a token, and the back-off of a second or third attempt."""
        at = max(super().next_send(now), self._wait_until)
        if self._fill is None:
            return at
        return max(at, self._filled_at + (1 - self._tokens) / self._fill)

    def on_send(self, now: float) -> None:
        """Take a token."""
        super().on_send(now)
        self._refill(now)
        self._tokens -= 1

    def on_success(self, now: float) -> None:
        """Grow along the cubic curve, to twice the measured rate at most."""
        super().on_success(now)
        self._measure(now)
        if self._fill is not None:
            rate = self.SCALE * (now - self._throttled_at - self._window) ** 3 + self._last_max
            self._set_fill(min(rate, 2 * self._measured), now)

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:
        """Fall to 0.7 of the rate in use, and back off unless the attempts are used up."""
        super().on_throttle(now, retry_after_s)
        self._measure(now)
        self._last_max = self._measured if self._fill is None else min(self._measured, self._fill)
        self._window = (self._last_max * (1 - self.BETA) / self.SCALE) ** (1 / 3)
        self._throttled_at = now
        self._set_fill(self._last_max * self.BETA, now)
        attempt = self._refused_in_a_row % self.ATTEMPTS
        if attempt:
            self._wait_until = now + min(self._rng.random() * 2.0 ** (attempt - 1), self.MAX_BACKOFF_S)

    def _measure(self, now: float) -> None:
        self._count += 1
        bucket = math.floor(now / self.BUCKET_S) * self.BUCKET_S
        if bucket > self._bucket:
            rate = self._count / (bucket - self._bucket) if self._bucket >= 0 else 0.0
            self._measured = rate * self.SMOOTHING + self._measured * (1 - self.SMOOTHING)
            self._count, self._bucket = 0, bucket

    def _refill(self, now: float) -> None:
        if self._fill is not None:
            self._tokens = min(max(self._fill, 1.0), self._tokens + (now - self._filled_at) * self._fill)
            self._filled_at = now

    def _set_fill(self, rate: float, now: float) -> None:
        self._refill(now)
        if self._fill is None:
            self._filled_at = now
        self._fill = max(rate, self.MIN_FILL)
        self._tokens = min(self._tokens, max(self._fill, 1.0))


class Published(Peer):
    """The PDPP reference implementation's law, which restores its interval."""

    def __init__(self, ceiling_s: float, rng: random.Random) -> None:
        super().__init__(ceiling_s, rng)
        self._law = self._start(None)
        self._next: float | None = None

    def next_send(self, now: float) -> float:
        """Asked once for each request: asking is what admits it."""
        if self._next is None:
            self._next = now + self._law.next_delay(now * 1000) / 1000
        return max(now, self._next)

    def on_send(self, now: float) -> None:
        """The next one asks again."""
        super().on_send(now)
        self._next = None

    def on_success(self, now: float) -> None:
        """One step up."""
        self._law.on_success(now * 1000)

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:  # noqa: ARG002
        """One step down, or a wait."""
        self._law.on_throttle(None if retry_after_s is None else retry_after_s * 1000)

    def snapshot(self, now: float) -> dict[str, Any]:  # noqa: ARG002
        """The interval."""
        return {"interval": self._law.interval}

    def restore(self, snapshot: Mapping[str, Any], now: float, age_s: float) -> None:  # noqa: ARG002
        """Begin at the interval."""
        self._law = self._start(snapshot["interval"])

    def _start(self, restored: float | None) -> PublishedPacing:
        return PublishedPacing(minimum=self._ceiling_s * 1000, maximum=30_000.0, restored=restored)
