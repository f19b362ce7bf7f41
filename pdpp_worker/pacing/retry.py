"""A second try for what failed at the provider or on the way: bounded, budgeted, and paced like any other request."""

from __future__ import annotations

import random
import time

import httpx
from prometheus_client import Counter

from pdpp_worker.errors import UpstreamError
from pdpp_worker.pacing.transport import NOT_BEFORE
from pdpp_worker.protocol.reasons import Reason

ATTEMPTS = 2
"""A resource that fails twice is a gap."""
BACKOFF_S, BACKOFF_MAX_S = 1.0, 16.0
BUDGET_RATIO, BUDGET_FLOOR = 0.1, 3
"""At most a tenth of the requests may be second tries, and three in any case: a failing provider is not asked twice
as often as a healthy one."""
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class RetryingTransport(httpx.BaseTransport):
    """Tries again with full jitter (a random wait up to an exponential bound); a refusal for the rate is not retried.

    `attempts` is how often a request is sent at most. It is 1 where what is asked for has a schedule of its own.

    A refused resource is a gap and the walk goes on: asking at once for the same thing again would cost the provider
    the request that the next resource could have used.
    """

    def __init__(self, inner: httpx.BaseTransport, retried: Counter, attempts: int = ATTEMPTS) -> None:
        self._inner = inner
        self._retried = retried
        self._attempts = attempts
        self._spread = random.SystemRandom()
        self._requests = 0
        self._retries = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and send again while that makes sense; raises what the last try raised."""
        self._requests += 1
        for attempt in range(1, self._attempts):
            try:
                return self._inner.handle_request(request)
            except UpstreamError as error:
                # An answer that is too large will not be smaller the next time.
                is_lasting = error.reason == Reason.PARSE_FAILED.value
                if is_lasting or request.method not in _REPEATABLE or not self._may_retry():
                    raise
                backoff = min(BACKOFF_MAX_S, BACKOFF_S * 2**attempt)
                request.extensions[NOT_BEFORE] = time.monotonic() + self._spread.uniform(0, backoff)
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _may_retry(self) -> bool:
        if self._retries >= max(BUDGET_FLOOR, self._requests * BUDGET_RATIO):
            return False
        self._retries += 1
        self._retried.inc()
        return True
