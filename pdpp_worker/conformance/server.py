"""A local HTTP server for a practice account: one function answers every GET."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

POLL_S = 0.01

Answer = Callable[[str, str | None], tuple[int, object]]
"""From a request's path with its query, and its Authorization header, to the status and what is sent as JSON."""


class LocalServer(ThreadingHTTPServer):
    """A server whose connections end with the process."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed takes no answer; anything else is a fault of the practice account."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """The server's address, while it runs on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, body = answer(self.path, self.headers.get("authorization"))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """The practice account writes down what it was asked."""

    with LocalServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(POLL_S,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
