"""The guard in front of every page: which host, which origin, who; and the headers of every answer."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pdpp_worker.web.access import Access

OPEN = ("/enter", "/health", "/static/")
"""Paths that are answered to everybody; they show nothing of the owner's."""
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # `no-referrer` would make a browser send `Origin: null` with the console's own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}
PROXY_SECRET = "pdpp-proxy-secret"  # noqa: S105 - the name of a header
"""The header with which a reverse proxy says that it has signed the owner in."""
_SAFE_METHODS = ("GET", "HEAD")


class Guard:
    """Middleware that refuses what does not come from the owner's own browser; `hosts` are names beside loopback's."""

    def __init__(self, app: ASGIApp, access: Access, hosts: frozenset[str]) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["type"] != "http":
            return PlainTextResponse("Only HTTP is answered here.", 400)
        if not self._is_host(headers.get("host", "")):
            return PlainTextResponse("This host is not the console's; see PDPP_WEB_HOSTS.", 421)
        if scope["method"] not in _SAFE_METHODS and not _is_own_origin(headers):
            return PlainTextResponse("This request comes from another site.", 403)
        if scope["path"].startswith(OPEN) or self._access.lets_in(cookies(headers).get(self._access.cookie)):
            return None
        if scope["path"].endswith(".json"):
            if scope["method"] in _SAFE_METHODS and self._access.is_proxy(headers.get(PROXY_SECRET)):
                return None
            return JSONResponse({"error": "sign_in", "message": "Sign in first; see: pdpp-worker web --link"}, 401)
        return RedirectResponse("/enter", 303)

    def _is_host(self, host: str) -> bool:
        """Whether the name is one of this console's: another name could be one that somebody let point here."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._hosts or name == "localhost" or _is_loopback(name)


def cookies(headers: Headers) -> dict[str, str]:
    """The cookies of a request; none where they cannot be read."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _is_own_origin(headers: Headers) -> bool:
    """Whether a request was made by a page of this console, or by no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
