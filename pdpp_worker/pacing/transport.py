"""Where a request is sent: the one way from a connector to a provider.

Every send pays for its own admission, redirects and second tries included; nothing else waits before a send.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import httpx

from pdpp_worker.pacing.outcomes import network_errors, outcome_of
from pdpp_worker.pacing.pacer import Pacer

NOT_BEFORE = "pdpp.not_before"
"""Request extension: a monotonic instant (s) that the pacing takes into its own."""

LONGEST_ANSWER_S = 180.0
"""From the first line of an answer to its end; the client's own timeout bounds only the pauses within."""


class PacedTransport(httpx.BaseTransport):
    """Sends when the pacer says so, and turns every failure into a typed outcome."""

    def __init__(self, inner: httpx.BaseTransport, pacer: Pacer, longest_answer_s: float = LONGEST_ANSWER_S) -> None:
        self._inner = inner
        self._pacer = pacer
        self._longest_answer_s = longest_answer_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the admission, send, and read the answer.

        Raises:
            ProviderError: one of its kinds, for an answer that the connector should not have to read.
            PacerUnavailableError: Redis cannot be reached; nothing was sent.
        """
        with self._pacer.request(request.extensions.get(NOT_BEFORE, float("-inf"))):
            response = self._send(request)
            if (failure := outcome_of(response, datetime.now(UTC))) is not None:
                raise failure
            return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _send(self, request: httpx.Request) -> httpx.Response:
        request.extensions["trace"] = self._note_send
        with network_errors(request):
            response = self._inner.handle_request(request)
            response.request = request
            body = cast(httpx.SyncByteStream, response.stream)
            response.stream = _Bounded(body, time.monotonic() + self._longest_answer_s)
            response.read()
        return response

    def _note_send(self, event: str, _: object) -> None:
        # A new connection is made before the first byte goes out, so the admission is not yet the send.
        if event.endswith("send_request_headers.started"):
            self._pacer.note_send()
        elif event.endswith("send_request_body.complete"):
            self._pacer.note_sent()


class _Bounded(httpx.SyncByteStream):
    """A body that has to be there by a deadline (monotonic, s): a provider that trickles holds no worker for ever."""

    def __init__(self, inner: httpx.SyncByteStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            if time.monotonic() > self._deadline:
                self._inner.close()
                raise httpx.ReadTimeout("the answer does not end")
            yield chunk

    def close(self) -> None:
        self._inner.close()
