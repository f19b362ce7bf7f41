"""A web site on loopback that answers as its paths say, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import PATIENCE_S

PIECE = bytes(range(256)) * 256


class Site(ThreadingHTTPServer):
    """Listens on a free port until `close`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.asked_something = threading.Event()
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no failure of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.asked_something.set()
        what, _, argument = self.path[1:].partition("/")
        getattr(self, f"_{what}")(argument)

    do_POST = do_PUT = do_GET  # noqa: N815 - the base class's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _echo(self, _: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {"method": self.command, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body.hex()}
        self._answer(200, json.dumps(told).encode())

    def _bytes(self, pieces: str) -> None:
        self._head(200, int(pieces) * len(PIECE))
        for _ in range(int(pieces)):
            self.wfile.write(PIECE)

    def _status(self, status: str) -> None:
        self._answer(int(status), b"{}", ("Retry-After", "17"))

    def _redirect(self, status: str) -> None:
        self._answer(int(status), b"", ("Location", "/echo"), ("Set-Cookie", "met=on-the-way; Path=/"))

    def _silence(self, _: str) -> None:
        self.server.over.wait(PATIENCE_S)

    def _half(self, _: str) -> None:
        self._head(200, 2 * len(PIECE))
        self.wfile.write(PIECE)
        self.server.over.wait(PATIENCE_S)

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self._head(status, len(body), *headers)
        self.wfile.write(body)

    def _head(self, status: int, size: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Length", str(size)), ("Content-Type", "application/json"), *headers):
            self.send_header(name, value)
        self.end_headers()
