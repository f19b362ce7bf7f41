"""Where a request is paced: the one way from a connector to a provider.

Every send pays for its own admission, redirects and second tries included; nothing else waits before a send.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

from pdpp_worker.errors import Throttled
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.outcomes import network_errors, outcome_of

LATE_S = 0.005
"""A reservation that is this late is given up: the next one may follow it at once."""

Wait = Callable[[float, datetime], None]
"""Waits until a monotonic instant (s), which is the given time of day; raises when the slice ends first."""


class PacedTransport(httpx.BaseTransport):
    """Sends when the bucket says so, and turns every failure into a typed outcome."""

    def __init__(self, inner: httpx.BaseTransport, bucket: Bucket, interval_ms: float, wait: Wait) -> None:
        self._inner = inner
        self._bucket = bucket
        self._interval_ms = interval_ms
        self._wait = wait
        self._sent_at = float("-inf")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the admission, send, and read the answer.

        Raises:
            ProviderError: one of its kinds, for an answer that the connector should not have to read.
            PacerUnavailableError: Redis cannot be reached; nothing was sent.
        """
        self._admit()
        request.extensions["trace"] = self._note_send
        with network_errors(request):
            response = self._inner.handle_request(request)
            response.request = request
            response.read()
        failure = outcome_of(response, datetime.now(UTC))
        if isinstance(failure, Throttled) and failure.retry_after is not None:
            self._bucket.hold((failure.retry_after - datetime.now(UTC)).total_seconds())
        if failure is not None:
            raise failure
        return response

    def close(self) -> None:
        """Close the connections, and tell the bucket of a send that went out late: the next may be another worker's."""
        self._inner.close()
        late = self._sent_at + self._interval_ms / 1000 - time.monotonic()
        if late > 0:
            self._bucket.hold(late)

    def _admit(self) -> None:
        """Wait for a reserved instant that can be kept.

        The bucket spaces reservations. What the provider sees are sends, so a send that would follow the last one
        too closely, because that one went out late, waits for the rest of the interval.
        """
        while True:
            delay = self._bucket.reserve(self._interval_ms)
            instant = max(time.monotonic() + delay, self._sent_at + self._interval_ms / 1000)
            self._wait(instant, datetime.now(UTC) + timedelta(seconds=delay))
            if time.monotonic() - instant < LATE_S:
                return

    def _note_send(self, event: str, _: object) -> None:
        # A new connection is made before the first byte goes out, so the admission is not yet the send.
        if event.endswith(("send_request_headers.started", "send_request_body.complete")):
            self._sent_at = time.monotonic()
