"""The wait of a request for its turn: the learned rate, the shared bucket and the slice's bounds, in one instant.

The learned state lives here for one slice; the runtime hands in the earlier one and keeps the later one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from pdpp_worker import clock, metrics
from pdpp_worker.errors import Forbidden, Gone, ProviderError, Throttled, UpstreamError
from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.counts import RequestCounts
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.lanes import Lanes

JITTER, JITTER_MAX_MS = 0.01, 150.0
"""Noise against beating with other periodic traffic: a share of the interval, so that it never sets the rate."""
MARGIN_MS = 10.0
"""Kept above the ceiling, and no more than the ceiling again: the provider sees arrivals, not sends, and one request
may be longer on its way than the next. It costs nothing where the provider's own limit is below the ceiling."""
HELD_ELSEWHERE = "another worker was told to pause"

Wait = Callable[[float, Hold | None], None]
"""Waits until a monotonic instant (s) at which a hold or an interval is over; raises when the slice ends first."""


class RateListener(Protocol):
    """Is told when the rate changes its course."""

    def __call__(self, why: str, retry_after_s: float | None, /) -> None:
        """The rate model backed off, for this reason."""
        ...


class Pacer:
    """Paces one connection for one slice, one request at a time. Instants are monotonic, s.

    `failures_weigh`, from 0 to 1, says how much a failure tells of the provider: a run that retries what failed
    before expects some. `resting` is entered while a request is under way.
    """

    def __init__(
        self,
        name: str,
        bucket: Bucket,
        lanes: Lanes,
        ceiling_ms: float,
        wait: Wait,
        listener: RateListener,
        *,
        counts: RequestCounts | None = None,
        failures_weigh: float = 1.0,
        resting: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = bucket
        self._resting = resting
        self._lanes = lanes
        self._floor_ms = ceiling_ms + min(MARGIN_MS, ceiling_ms)
        self._wait = wait
        self._listener = listener
        self._failures_weigh = failures_weigh
        self._clock = clock
        self._spread = random.SystemRandom()
        self._sent_at = float("-inf")
        self._lane, self._is_second_try = "", False
        self.counts = RequestCounts() if counts is None else counts
        self._admitted = metrics.ADMITTED.labels(name)
        self._waited = metrics.WAITED_MS.labels(name)
        self._throttled = metrics.THROTTLED.labels(name)
        self._asked = metrics.RETRY_AFTER_S.labels(name)
        self._interval = metrics.INTERVAL_MS.labels(name)
        self._circuit = metrics.CIRCUIT_OPEN.labels(name)

    @contextmanager
    def request(self, not_before: float = float("-inf"), lane: str = "") -> Iterator[None]:
        """One request: wait for its turn, and learn from how it went. `not_before` is that of a second try.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        self.admit(not_before, lane)
        with self._learning():
            yield

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A request by other means than HTTP: sent at once when its turn has come, by whoever entered this."""
        with self.request():
            self.note_send()
            yield

    @contextmanager
    def adopted(self, sent_at: float) -> Iterator[None]:
        """A request that another pacer of the connection let out at this instant, for this slice: learn from it."""
        self._lane, self._is_second_try = "", False
        self.require_time()
        self.counts.sent += 1
        self._sent_at = sent_at
        self._lanes.on_send(sent_at)
        with self._learning():
            yield

    @contextmanager
    def _learning(self) -> Iterator[None]:
        try:
            with self._resting():
                yield
        except ProviderError as failure:
            self.note_failure(failure)
            raise
        self.note_success()

    def admit(self, not_before: float = float("-inf"), lane: str = "") -> None:
        """Wait until the rate model lets the next request of a lane out, then take its turn in the shared bucket.

        Nothing is reserved. A request that gives up leaves no trace, and a late wake-up delays this request alone.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        begun = self._clock()
        self._lane, self._is_second_try = lane, not_before > float("-inf")
        spacing_ms = max(self._lanes.spacing_ms(begun, lane), self._floor_ms)
        self._await_law(begun, not_before)
        while (delay := self._bucket.take(spacing_ms, self._floor_ms, lane)) > 0:
            until = self._clock() + delay
            self._wait(until, Hold(until, HELD_ELSEWHERE) if delay > spacing_ms / 1000 else None)
        self._admitted.inc()
        self._waited.inc((self._clock() - begun) * 1000)

    def require_time(self) -> None:
        """End the slice if it has to end: a request that failed for that is no failure of the provider."""
        self._wait(self._clock(), None)

    def note_send(self) -> None:
        """The first of the request's bytes goes out now."""
        self.counts.sent += 1
        self._sent_at = self._clock()
        self._lanes.on_send(self._sent_at, self._lane)

    def note_sent(self) -> None:
        """The last of its bytes went out: the next request keeps its distance from here."""
        self._sent_at = self._clock()

    def note_announced(self, limits: Sequence[Announced]) -> None:
        """The answer names the provider's limits; told before how the request went."""
        self._lanes.on_announced(self._clock(), limits, self._lane)

    def note_success(self) -> None:
        """The provider answered, and not with a failure of its own."""
        now = self._clock()
        self.counts.answered += 1
        self._lanes.on_success(now, self._lane)
        self._circuit.set(0)
        self._interval.set(self._lanes.interval_ms(now, self._lane))

    def note_failure(self, failure: ProviderError) -> None:
        """The provider refused or failed; a hold that follows is one for every worker."""
        now = self._clock()
        was_held = self._lanes.hold(now, self._lane) is not None
        if isinstance(failure, Throttled):
            self._note_throttle(failure, now)
        elif isinstance(failure, UpstreamError):
            # A second failure right after the first tells nothing more of the provider.
            weight = 0.0 if self._is_second_try else self._failures_weigh
            self._lanes.on_upstream_error(now, self._lane, weight=weight)
        elif isinstance(failure, Gone | Forbidden):
            self._lanes.on_success(now, self._lane)
        hold = self._lanes.hold(now, self._lane)
        self._circuit.set(int(hold is not None))
        if hold is not None:
            self._bucket.hold(hold.until - now, self._lane)
        if hold is not None and not was_held and not isinstance(failure, Throttled):
            self._listener(failure.reason, None)

    def close(self) -> None:
        """Tell the bucket of a send that went out later than its turn: the next one may be another worker's."""
        left_s = self._sent_at + self._floor_ms / 1000 - self._clock()
        if left_s > 0:
            self._bucket.hold(left_s)

    def _await_law(self, now: float, not_before: float) -> None:
        since_last = self._sent_at + self._floor_ms / 1000
        instant = max(self._lanes.next_send(now, self._lane), since_last)
        if instant > now:
            instant += self._jitter_s(now)
        self._wait(max(instant, not_before), self._lanes.hold(now, self._lane))

    def _jitter_s(self, now: float) -> float:
        interval = self._lanes.interval_ms(now, self._lane)
        return self._spread.uniform(0, min(JITTER_MAX_MS, JITTER * interval)) / 1000

    def _note_throttle(self, failure: Throttled, now: float) -> None:
        asked = (failure.retry_after - clock.now()).total_seconds() if failure.retry_after is not None else None
        self._lanes.on_throttle(now, asked, self._lane)
        self._throttled.inc()
        self._asked.inc(max(0.0, asked or 0.0))
        self._interval.set(self._lanes.interval_ms(now, self._lane))
        self._listener(failure.reason, asked)
