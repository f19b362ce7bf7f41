"""A lying proxy: stands between a connector and the HTTP server of a practice account, and knows nothing of either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pdpp_worker.conformance.adversary.lies import Lie, spoiled
from pdpp_worker.conformance.adversary.voice import Voice
from pdpp_worker.conformance.server import POLL_S, LocalServer

PAGES = frozenset(
    {"cursor", "offset", "page", "limit", "latest", "oldest", "after", "before", "start", "since", "until"}
)
"""Parameters by which pages of one list differ."""
LEAST_NAME = 5
"""Characters of a word that may be an id."""
OK = 200
REFUSALS = (429, 429, 500, 502, 503, 503)
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "accept-encoding"})


class Heard(NamedTuple):
    """An answer of a provider."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Asked(NamedTuple):
    """A request of the connector."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def subject(self) -> str:
        """The question, whatever the page."""
        path, _, query = self.target.partition("?")
        named = sorted(pair for pair in parse_qsl(query) if pair[0] not in PAGES)
        return f"{self.method} {path} {named}"

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rpartition("/")[2]

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def named(self) -> list[str]:
        """The words of the question that may be the id of one resource."""
        words = [self.name, *(value for _, value in parse_qsl(self.target.partition("?")[2]))]
        return [word for word in words if len(word) >= LEAST_NAME and any(map(str.isdigit, word))]

    def is_like(self, other: Asked) -> bool:
        """Whether both ask the same of two resources."""
        folders = [one.path.rpartition("/")[0] if one.name in one.named else one.path for one in (self, other)]
        return self.method == other.method and folders[0] == folders[1]


class Proxy:
    """Passes requests on to the server at `netloc`, and now and then lies about the answer."""

    def __init__(self, voice: Voice, netloc: str) -> None:
        self._voice = voice
        self._netloc = netloc
        self._earlier: list[tuple[Asked, Heard]] = []

    def answer(self, asked: Asked) -> tuple[Heard, bool]:
        """The answer to give, and whether its connection is cut in the middle of it."""
        if self._voice.is_circling:
            return Heard(503, [], b""), False
        lie = self._voice.draw(f"{asked.method} {asked.target}")
        heard = _ask(self._netloc, asked)
        told = None if lie is None else self._lied(lie, asked, heard)
        self._earlier.append((asked, heard))
        if lie is None or told is None:
            return heard, False
        self._voice.tell(lie)
        return told, lie is Lie.CUT and self._voice.rng.random() < 0.5

    def _lied(self, lie: Lie, asked: Asked, heard: Heard) -> Heard | None:
        rng = self._voice.rng
        if lie is Lie.REFUSED:
            return Heard(rng.choice(REFUSALS), [("content-type", "application/json")], b"{}")
        if lie in (Lie.STALE, Lie.MISPLACED):
            found = self._stale(asked) if lie is Lie.STALE else self._misplaced(asked, heard)
            told = [one for one in found if one.body != heard.body]
            return rng.choice(told) if told else None
        if lie is Lie.CUT:
            return heard._replace(body=heard.body[: rng.randrange(len(heard.body))]) if heard.body else None
        with suppress(ValueError):
            made = spoiled(lie, json.loads(heard.body), rng)
            return None if made is None else heard._replace(body=json.dumps(made).encode())
        return None

    def _stale(self, asked: Asked) -> list[Heard]:
        return [heard for earlier, heard in self._earlier if earlier.subject == asked.subject]

    def _misplaced(self, asked: Asked, heard: Heard) -> list[Heard]:
        """Answers to questions of the same kind, where the right answer tells what it is about and they do not."""
        names = [name.encode() for name in asked.named if name.encode() in heard.body]
        alike = [one for earlier, one in self._earlier if earlier.is_like(asked) and one.status == OK] if names else []
        return [one for one in alike if not any(name in one.body for name in names)]


def _ask(netloc: str, asked: Asked) -> Heard:
    with closing(HTTPConnection(netloc, timeout=30)) as connection:
        connection.request(asked.method, asked.target, asked.body or None, dict(asked.headers))
        found = connection.getresponse()
        headers = [(name, value) for name, value in found.getheaders() if name.lower() not in _HOP]
        return Heard(found.status, headers, found.read())


@contextmanager
def proxying(proxy: Proxy) -> Iterator[str]:
    """The origin of the proxy, while it runs on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            headers = [(name, value) for name, value in self.headers.items() if name.lower() not in _HOP]
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            heard, is_cut = proxy.answer(Asked(self.command, self.path, headers, body))
            self.send_response_only(heard.status)
            for name, value in heard.headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(heard.body) + (1 if is_cut else 0)))
            self.end_headers()
            self.wfile.write(heard.body)
            self.close_connection |= is_cut

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - named by the base class

        def log_message(self, *_: Any) -> None:
            """The practice account writes down what it was asked."""

    with LocalServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(POLL_S,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
