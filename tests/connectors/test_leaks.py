"""Credentials stay at their own site, over sockets: each connector's own client, led away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.chatgpt.connector import collect as chatgpt
from connectors.slack.connector import collect as slack
from connectors.usaa.connector import collect as usaa
from pdpp_worker.connector import Collect, Context, SkipResult
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.registry import get
from pdpp_worker.runtime.connection_values import with_defaults
from tests.support.connectors import context, start

SECRETS = {
    "chatgpt": {"session_token": "S3CRET", "access_token": "S3CRET", "device_id": "S3CRET"},
    "slack": {"token": "S3CRET", "cookie": "S3CRET"},
    "usaa": {},
}
CONNECTORS: dict[str, Collect] = {"chatgpt": chatgpt, "slack": slack, "usaa": usaa}


class Server(ThreadingHTTPServer):
    """Answers every request as it is told, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, location: Callable[[], str] | None) -> None:
        self.location = location
        self.asked: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(302 if self.server.location else 200)
        if self.server.location:
            self.send_header("Location", self.server.location())
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815 - the base class's name

    def log_message(self, *_: Any) -> None:
        """No access log."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def begin(location: Callable[[], str] | None = None) -> Server:
        server = Server(location)
        running.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    yield begin
    for server in running:
        server.shutdown()
        server.server_close()


def at(connector: str, url: str) -> tuple[Manifest, Context]:
    """A signed-in connection whose site is at the address."""
    manifest = get(connector).manifest
    return manifest, context(with_defaults(manifest.settings, {"base_url": url}), SECRETS[connector])


@pytest.mark.parametrize("connector", CONNECTORS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_site_that_leads_away_is_not_followed_and_the_owner_is_told(
    serve: Callable[..., Server], connector: str, host: str
) -> None:
    thief = serve()
    site = serve(lambda: f"{thief.url.replace('127.0.0.1', host)}/stolen?token=S3CRET")
    manifest, given = at(connector, site.url)

    said = list(CONNECTORS[connector](start([one.name for one in manifest.supplied]), given))

    assert site.asked
    assert thief.asked == []
    skipped = [one for one in said if isinstance(one, SkipResult)]
    assert any("leads away" in one.message for one in skipped)
    assert not any("S3CRET" in one.message for one in skipped)


@pytest.mark.parametrize("secret", ["a header", "a cookie"])
def test_the_test_would_see_a_leak(serve: Callable[..., Server], secret: str) -> None:
    site = serve()
    client = context().http(base_url=site.url, headers={"authorization": "S3CRET"} if secret == "a header" else None)
    if secret == "a cookie":
        client.cookies.set("session", "S3CRET")

    with client, suppress(Exception):
        client.get("/")

    assert any("S3CRET" in value for value in site.asked[0].values())
