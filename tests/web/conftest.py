"""The console on a real socket, and a visitor."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
import uvicorn
from redis import Redis

from pdpp_worker.connector import Message, Progress, Reason, ResourceScope, skip
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.web.web_server import Server
from tests.cli.conftest import Cli, cli
from tests.support.scripted import Scenario, record, state
from tests.support.waiting import until

__all__ = ["Cli", "cli"]


class Running:
    """A console that answers."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self.server = Server(settings, db, address="127.0.0.1", port=0)
        self.database = db
        self.url = self.server.url
        self._inner: list[uvicorn.Server] = []
        self._thread = threading.Thread(target=self.server.run, args=(self._inner.append,))
        self._thread.start()
        until(lambda: self._inner and self._inner[0].started)

    def visitor(self) -> httpx.Client:
        """A browser that nobody let in yet."""
        return httpx.Client(base_url=self.url, follow_redirects=True)

    def close(self) -> None:
        """Stop answering."""
        self._inner[0].should_exit = True
        self._thread.join()


class Owner:
    """A browser of the owner's, that is in."""

    def __init__(self, running: Running) -> None:
        self.browser = running.visitor()
        self.url = running.url
        self.get(running.server.link())

    def get(self, path: str) -> str:
        """A page's HTML."""
        response = self.browser.get(path)
        assert response.status_code == 200, response.text
        return response.text

    def json(self, path: str) -> Any:
        """A page's document."""
        response = self.browser.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    def token(self, page: str = "/connections/add?connector=scripted") -> str:
        """The token of a page's forms."""
        return next(value for name, value in inputs(self.get(page)) if name == "token")

    def post(self, path: str, page: str, **fields: Any) -> httpx.Response:
        """Send a form of a page; the answer is that of the page to which it leads."""
        return self.browser.post(path, data={"token": self.token(page), **fields})

    def done(self, path: str, page: str, **fields: Any) -> str:
        """Send a form that is accepted; returns the page that follows."""
        response = self.post(path, page, **fields)
        assert response.status_code == 200, response.text
        return response.text


def inputs(html: str) -> list[tuple[str, str]]:
    """Name and value of each input."""
    found: list[tuple[str, str]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "input":
                given = dict(attrs)
                found.append((given.get("name") or "", given.get("value") or ""))

    Parser().feed(html)
    return found


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    """The connection `mine` of a scripted connector."""
    return Scenario(monkeypatch, settings, db, redis)


@pytest.fixture
def running(own_environment: None, settings: Settings, db: Database) -> Iterator[Running]:
    """The console."""
    made = Running(settings, db)
    yield made
    made.close()


@pytest.fixture
def owner(running: Running) -> Iterator[Owner]:
    """The owner, who is in."""
    made = Owner(running)
    yield made
    made.browser.close()


def messages() -> list[Message]:
    """Two records, and two that are missing."""
    return [
        record("a", title="first"),
        record("b", title="second"),
        Progress(stream="items", message="", count=2, total=4),
        skip("items", Reason.RATE_LIMITED, ResourceScope(resource_id="c")),
        skip("items", Reason.TEMPLATE_UNKNOWN, ResourceScope(resource_id="d")),
        state({"at": 1}),
    ]


def collect(scenario: Scenario) -> None:
    """Let the connection hold two records, and miss two."""
    scenario.send(*messages())
    scenario.run()
