"""Where a request may go: a client is signed in at one origin, and nothing of it goes anywhere else."""

from __future__ import annotations

import httpx

from pdpp_worker.errors import UpstreamError

_PLACE = "pdpp.place"
"""Request extension: method and path of the request that the redirects began with."""
_BARE_METHODS = frozenset({"GET", "HEAD"})
_BARE_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "host",
        "if-modified-since",
        "if-none-match",
        "range",
        "user-agent",
    }
)
"""Headers that a request may carry to another origin: none of them tells who asks."""


class OriginTransport(httpx.BaseTransport):
    """Refuses every request that would leave the client's origin, redirects included, before anything is sent.

    With a `base_url` a client talks to the origin of that (scheme, host and port; RFC 6454, 4) and to nothing else:
    cookies and headers cannot reach another host, nor go over plain http where the address is https. Without one it
    talks to any https address, and carries nothing: no cookie, no body, and no header but those of `_BARE_HEADERS`.
    `is_practice`: plain http will do for that, as practice providers know no other.
    """

    def __init__(self, inner: httpx.BaseTransport, base_url: str = "", *, is_practice: bool = False) -> None:
        self._inner = inner
        self._schemes = {"https", "http"} if is_practice else {"https"}
        self._home = origin(httpx.URL(base_url)) if base_url else None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on that may be sent; raises UpstreamError for one that may not."""
        # A redirect inherits it, so that what is told is the place that was asked for.
        place = request.extensions.setdefault(_PLACE, f"{request.method} {request.url.path}")
        if self._home is None:
            return self._bare(request, place)
        there = origin(request.url)
        if there != self._home:
            raise UpstreamError(f"{place} leads away from {self._home} to {there}, which was not asked")
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _bare(self, request: httpx.Request, place: str) -> httpx.Response:
        there = origin(request.url)
        if request.url.scheme not in self._schemes:
            raise UpstreamError(f"{place} leads to {there}, which is no https address and was not asked")
        told = {name for name in request.headers if name not in _BARE_HEADERS}
        if told or request.method not in _BARE_METHODS:
            what = ", ".join(sorted(told)) or request.method
            raise UpstreamError(f"{place}: a client without base_url carries nothing, but was to send {there}: {what}")
        response = self._inner.handle_request(request)
        # Kept, a cookie would go along the next time.
        response.headers.pop("set-cookie", None)
        return response


def origin(url: httpx.URL) -> str:
    """Scheme, host and port of an address; the usual port is left out."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"[:300]
