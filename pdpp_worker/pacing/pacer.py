"""Where a request waits for its turn: the shared bucket, the learned law and the slice's bounds, in one instant.

What the law learned lives here for one slice; the runtime hands in what was learned before and keeps what comes out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pdpp_worker import metrics
from pdpp_worker.errors import Forbidden, Gone, ProviderError, Throttled, UpstreamError
from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.controller import Controller

LATE_S = 0.005
"""A reservation that is this late is given up: the next one may follow it at once."""
JITTER, JITTER_MAX_MS = 0.01, 150.0
"""Noise against beating with other periodic traffic: a share of the interval, so that it never sets the rate."""
MARGIN_MS = 10.0
"""Kept above the ceiling: the provider sees arrivals, not sends, and one request may be longer on its way than the
next. It costs nothing where the provider's own limit is below the ceiling."""

Wait = Callable[[float, datetime], None]
"""Waits until a monotonic instant (s), which is the given time of day; raises when the slice ends first."""


class RateListener(Protocol):
    """Is told when the rate changes its course."""

    def __call__(self, why: str, retry_after_s: float | None) -> None:
        """The law backed off, for this reason."""
        ...


class Pacer:
    """Paces one connection for one slice."""

    def __init__(
        self, name: str, bucket: Bucket, controller: Controller, ceiling_ms: float, wait: Wait, listener: RateListener
    ) -> None:
        self._bucket = bucket
        self._controller = controller
        self._floor_ms = ceiling_ms + MARGIN_MS
        self._wait = wait
        self._listener = listener
        self._spread = random.SystemRandom()
        self._sent_at = float("-inf")
        self.sent = 0
        """Requests that went out, retries and redirects included."""
        self._interval_ms = 0.0
        self._admitted = metrics.ADMITTED.labels(name)
        self._waited = metrics.WAITED_MS.labels(name)
        self._throttled = metrics.THROTTLED.labels(name)
        self._asked = metrics.RETRY_AFTER_S.labels(name)
        self._interval = metrics.INTERVAL_MS.labels(name)
        self._circuit = metrics.CIRCUIT_OPEN.labels(name)

    @contextmanager
    def request(self, not_before: float = float("-inf")) -> Iterator[None]:
        """One request: wait for its turn, and learn from how it went. `not_before`: monotonic, s.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        self.admit(not_before)
        try:
            yield
        except ProviderError as failure:
            self.note_failure(failure)
            raise
        self.note_success()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A request by other means than HTTP: sent at once when its turn has come, by whoever entered this."""
        with self.request():
            self.note_send()
            yield

    def admit(self, not_before: float = float("-inf")) -> None:
        """Wait for an instant that is reserved for this request and can be kept.

        The bucket spaces reservations. What the provider sees are sends, so one that would follow the last send too
        closely, because that went out late, waits for the rest of the interval. `not_before`: monotonic, s.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        begun = time.monotonic()
        while True:
            self._interval_ms = self._draw_interval(time.monotonic())
            delay = self._bucket.reserve(self._interval_ms)
            now = time.monotonic()
            since_last = self._sent_at + self._floor_ms / 1000
            instant = max(now + delay, self._controller.next_send(now), since_last, not_before)
            self._wait(instant, datetime.now(UTC) + timedelta(seconds=instant - now))
            if time.monotonic() - instant < LATE_S:
                break
        self._admitted.inc()
        self._waited.inc((time.monotonic() - begun) * 1000)

    def note_send(self) -> None:
        """The first of the request's bytes goes out now."""
        self.sent += 1
        self._sent_at = time.monotonic()
        self._controller.on_send(self._sent_at)

    def note_sent(self) -> None:
        """The last of its bytes went out: the next request keeps its distance from here."""
        self._sent_at = time.monotonic()

    def note_announced(self, limits: Sequence[Announced]) -> None:
        """An answer told of these limits; whether it is a success is noted afterwards."""
        self._controller.on_announced(time.monotonic(), limits)

    def note_success(self) -> None:
        """The provider answered, and not with a failure of its own."""
        self._controller.on_success(time.monotonic())
        self._circuit.set(0)
        self._interval.set(self._controller.interval_ms(time.monotonic()))

    def note_failure(self, failure: ProviderError) -> None:
        """The provider refused or failed; a wait that follows holds for every worker."""
        now = time.monotonic()
        if isinstance(failure, Throttled):
            self._note_throttle(failure, now)
        elif isinstance(failure, UpstreamError):
            self._controller.on_upstream_error(now)
        elif isinstance(failure, Forbidden | Gone):
            self._controller.on_success(now)
        wait = self._controller.next_send(now) - now
        is_held = wait > self._controller.interval_ms(now) / 1000
        self._circuit.set(int(is_held))
        if is_held:
            self._bucket.hold(wait)

    def close(self) -> None:
        """Tell the bucket of a send that went out late: the next one may be another worker's."""
        late = self._sent_at + self._interval_ms / 1000 - time.monotonic()
        if late > 0:
            self._bucket.hold(late)

    def _note_throttle(self, failure: Throttled, now: float) -> None:
        asked = (failure.retry_after - datetime.now(UTC)).total_seconds() if failure.retry_after is not None else None
        self._controller.on_throttle(now, asked)
        self._throttled.inc()
        self._asked.inc(max(0.0, asked or 0.0))
        self._interval.set(self._controller.interval_ms(now))
        self._listener(failure.reason, asked)

    def _draw_interval(self, now: float) -> float:
        interval = max(self._controller.spacing_ms(now), self._floor_ms)
        return interval + self._spread.uniform(0, min(JITTER_MAX_MS, JITTER * interval))
