"""The HTTP transport that sends requests through the browser."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, cast

import httpx

from pdpp_worker.browser.browser import Browser

_OF_THE_WIRE = frozenset({"connection", "content-encoding", "content-length", "transfer-encoding"})
"""Headers that tell how an answer travelled; the browser has unpacked it."""


class BrowserTransport(httpx.BaseTransport):
    """Sends each request from inside a page of the provider's origin, in the owner's own profile.

    A redirect is handed back like any answer. `response.extensions["cookies"]` holds the cookies that a script of the
    page may read, by name. Closing leaves the browser open: other clients of the slice share it.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises httpx.TransportError."""
        trace = request.extensions.get("trace", lambda *_: None)

        def on_sent() -> None:
            # Only now: before, the request may have waited for the browser to start.
            trace("browser.send_request_headers.started", {})
            trace("browser.send_request_body.complete", {})

        answer = self._browser.send(request, on_sent)
        head = cast(dict[str, Any], next(answer))
        return httpx.Response(
            head["status"],
            headers=[(name, value) for name, value in head["headers"] if name.lower() not in _OF_THE_WIRE],
            stream=_Body(answer),
            extensions={"cookies": dict(_cookies(head["cookies"]))},
        )


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: Iterator[dict[str, Any] | bytes]) -> None:
        self._answer = cast(Generator[bytes], answer)

    def __iter__(self) -> Iterator[bytes]:
        return self._answer

    def close(self) -> None:
        self._answer.close()


def _cookies(text: str) -> Iterator[tuple[str, str]]:
    for one in text.split("; "):
        name, equals, value = one.partition("=")
        if equals:
            yield name, value
