"""The HTTP clients that the runtime makes: where they go, how often they ask, and what a refused answer becomes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from pdpp_worker.connector import Context, DetailGap, Message, ProviderError, Start, State, Throttled, UpstreamError
from pdpp_worker.pacing.retry import ATTEMPTS
from pdpp_worker.runtime.slice_context import make_context, nobody
from pdpp_worker.secrets import Redactor
from pdpp_worker.settings import Settings
from tests.support.browser import row
from tests.support.scripted import Scenario, manifest


class Site(ThreadingHTTPServer):
    """Answers every request the same way, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.answer = status, {**headers, "Content-Length": str(len(body))}, body
        self.asked: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        status, headers, body = self.server.answer
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


Serve = Callable[..., Site]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts sites and stops them after the test."""
    running: list[Site] = []

    def begin(status: int = 200, body: bytes = b"{}", **headers: str) -> Site:
        site = Site(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(site)
        return site

    yield begin
    for site in running:
        site.shutdown()
        site.server_close()


class NoPacing:
    """A pacer that lets everything pass at once."""

    turn = None

    @contextmanager
    def request(self, *_: Any, **__: Any) -> Iterator[None]:
        yield

    def note_send(self) -> None:
        """Nothing to learn."""

    def note_sent(self) -> None:
        """Nothing to learn."""


@contextmanager
def unpaced(settings: Settings, *, retries_gaps: bool = False, reach: str = "http") -> Iterator[Context]:
    """The runtime's context for one slice."""
    connection = row()
    connection.settings["reach"] = reach
    claimed = SimpleNamespace(connection=connection, now=datetime.now(UTC), trigger="schedule")
    heartbeat = SimpleNamespace(allow_idle=lambda _seconds: None)
    limits = SimpleNamespace(check=lambda: None, wait_for_owner=lambda: None, heartbeat=heartbeat)
    given = {"bindings": ["network", "browser_profile"], "sign_in": "/"}
    with ExitStack() as clients:
        yield make_context(
            settings,
            manifest(**given),
            claimed,  # type: ignore[arg-type]
            NoPacing(),  # type: ignore[arg-type]
            Redactor(),
            clients,
            limits,  # type: ignore[arg-type]
            nobody,
            retries_gaps=retries_gaps,
        )


@pytest.mark.parametrize(("retries_gaps", "times"), [(False, ATTEMPTS), (True, 1)])
def test_a_slice_that_retries_gaps_asks_once(settings: Settings, serve: Serve, retries_gaps: bool, times: int) -> None:
    site = serve(500)

    with unpaced(settings, retries_gaps=retries_gaps) as context, pytest.raises(UpstreamError):
        context.http(base_url=site.url).get("/")

    assert len(site.asked) == times


def test_a_client_without_an_address_of_its_own_does_without_the_owners_browser(settings: Settings) -> None:
    with_browser = settings.model_copy(update={"browser": "/bin/true"})

    with unpaced(with_browser, reach="browser") as context, pytest.raises(UpstreamError, match="ConnectError"):
        context.http().get("https://127.0.0.1:1/signed")

    assert not (settings.data_dir / "browser").exists()


def asks_for_one(url: str, judge: Any = None) -> Callable[[Start, Context], Iterator[Message]]:
    """A connector that asks for one resource, signed in, and leaves a gap where that fails."""

    def collect(_: Start, context: Context) -> Iterator[Message]:
        client = context.http(base_url=url, headers={"authorization": "Bearer S3CRET"}, judge=judge)
        client.cookies.set("session", "S3CRET")
        try:
            client.get("/one")
        except ProviderError as error:
            yield DetailGap(stream="items", record_key="one", reason=error.reason, last_error=str(error))
        yield State(stream="items", cursor=1)

    return collect


def test_a_redirect_that_leads_away_is_a_gap_that_says_so(scenario: Scenario, serve: Serve) -> None:
    thief = serve()
    site = serve(302, b"", Location=f"{thief.url}/stolen?token=S3CRET")
    scenario.install(asks_for_one(site.url))

    scenario.run()

    (gap,) = scenario.gaps()
    assert "leads away" in gap["last_error"]
    assert "S3CRET" not in gap["last_error"]
    assert (len(site.asked), thief.asked) == (1, [])


def test_what_a_judge_refuses_is_written_down_as_the_rate_of_the_connection(scenario: Scenario, serve: Serve) -> None:
    site = serve(200, b'{"error": "slow"}')
    scenario.install(
        asks_for_one(site.url, judge=lambda answer: Throttled("slow") if b"slow" in answer.content else None)
    )

    scenario.run()

    assert scenario.gaps()[0]["reason"] == "rate_limited"
    assert scenario.one("SELECT state FROM rate_states")["state"]["back_off"]["why"] == "rate_limited"
