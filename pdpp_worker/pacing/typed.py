"""One request and its whole answer, with every failure typed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import httpx

from pdpp_worker import clock
from pdpp_worker.errors import ProviderError, Throttled
from pdpp_worker.pacing.answer import ACCEPTED_CODINGS, LARGEST_ANSWER_BYTES, read_whole
from pdpp_worker.pacing.outcomes import network_errors, outcome_of
from pdpp_worker.pacing.refusals import pause

LONGEST_ANSWER_S = 180.0
"""From the first line of an answer to its end; the client's own timeout bounds only the pauses within."""

Judge = Callable[[httpx.Response], ProviderError | None]
"""The connector's own word on an answer that has no failure for its status: the failure that its body tells of."""


class TypedTransport(httpx.BaseTransport):
    """Sends, and reads the answer; paces nothing."""

    def __init__(
        self, inner: httpx.BaseTransport, *, judge: Judge | None = None, longest_answer_s: float = LONGEST_ANSWER_S
    ) -> None:
        self._inner = inner
        self._judge = judge
        self._longest_answer_s = longest_answer_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the answer.

        Raises:
            ProviderError: one of its kinds, for an answer that the connector should not have to read.
        """
        request.headers["accept-encoding"] = ACCEPTED_CODINGS
        with network_errors(request):
            response = self._inner.handle_request(request)
            response = read_whole(response, time.monotonic() + self._longest_answer_s, LARGEST_ANSWER_BYTES)
        response.request = request
        now = clock.now()
        self._note_answer(response, now)
        failure = outcome_of(response, now)
        if failure is None and self._judge is not None:
            failure = self._judge(response)
        if isinstance(failure, Throttled) and failure.retry_after is None:
            failure.retry_after = pause(response.headers, now)
        if failure is not None:
            raise failure
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _note_answer(self, response: httpx.Response, now: datetime) -> None:
        """An answer came, whatever it says."""
