"""Where a request is sent: the one way from a connector to a provider.

Every send pays for its own admission, redirects and second tries included; nothing else waits before a send.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import httpx

from pdpp_worker.errors import ProviderError
from pdpp_worker.pacing.announced import announced
from pdpp_worker.pacing.in_flight import in_flight
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.pacing.typed import LONGEST_ANSWER_S, Judge, TypedTransport

NOT_BEFORE = "pdpp.not_before"
"""Request extension: a monotonic instant (s) that the pacing takes into its own."""

LaneOf = Callable[[str], str]
"""The lane of a request, by the path of its URL."""


def one_lane(_: str) -> str:
    """The lane of a connector that groups no requests."""
    return ""


class PacedTransport(TypedTransport):
    """Sends when the pacer says so, and turns every failure into a typed outcome."""

    def __init__(
        self,
        inner: httpx.BaseTransport,
        pacer: Pacer,
        longest_answer_s: float = LONGEST_ANSWER_S,
        *,
        judge: Judge | None = None,
        lane_of: LaneOf = one_lane,
    ) -> None:
        super().__init__(inner, judge=judge, longest_answer_s=longest_answer_s)
        self._pacer = pacer
        self._lane_of = lane_of

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the admission, send, and read the answer.

        Raises:
            ProviderError: one of its kinds, for an answer that the connector should not have to read.
            PacerUnavailableError: Redis cannot be reached; nothing was sent.
        """
        request.extensions["trace"] = self._note_send
        not_before = request.extensions.get(NOT_BEFORE, float("-inf"))
        with self._pacer.request(not_before, self._lane_of(request.url.path)):
            try:
                return super().handle_request(request)
            except ProviderError:
                if in_flight.is_cut:
                    self._pacer.require_time()
                raise

    def _note_answer(self, response: httpx.Response, now: datetime) -> None:
        if limits := announced(response.headers, now):
            self._pacer.note_announced(limits)

    def _note_send(self, event: str, info: object) -> None:
        in_flight.note(event, info)
        # A new connection is made before the first byte goes out, so the admission is not yet the send.
        if event.endswith("send_request_headers.started"):
            self._pacer.note_send()
        elif event.endswith("send_request_body.complete"):
            self._pacer.note_sent()
