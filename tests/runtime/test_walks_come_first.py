"""Going back for gaps never stands before the walk: neither by failures, nor by a hold, nor by its own length."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pdpp_worker.connector import Context, DetailGap, Message, ProviderError, Start
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.runtime.open_slice import MAX_FAILURES
from tests.support.backlog import TARGETED, missing
from tests.support.scripted import Scenario, manifest, record, state

BAD = [f"bad{number}" for number in range(MAX_FAILURES + 4)]


class Provider:
    """Answers the list; items fail, and once they are told to, ask for a long pause."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pause_s: int | None = None
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                is_list = self.path == "/list"
                paused = provider.pause_s is not None and not is_list
                self.send_response(200 if is_list else 429 if paused else 503)
                if paused:
                    self.send_header("retry-after", str(provider.pause_s))
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def known_bad(scenario: Scenario, no_haste: None, provider: Provider) -> Scenario:
    """Some items are missing and due, and every one of them will fail again."""
    scenario.manifest = manifest(recovery=TARGETED, pacing={"min_interval_ms": 1})
    scenario.send(record("a"), *missing(*BAD), state(1))
    scenario.run()
    scenario.elapse()
    scenario.starts.clear()

    def collect(start: Start, context: Context) -> Iterator[Message]:
        client = context.http(base_url=provider.url)
        for gap in start.detail_gaps:
            key = gap.scope.resource_id  # type: ignore[union-attr]
            with suppress(ProviderError):
                client.get(f"/items/{key}")
            yield DetailGap(stream="items", record_key=key, reason="upstream_error", gap_id=gap.gap_id)
        if not start.recovery_only:
            client.get("/list")
            yield record("b")
            yield state(2)

    scenario.install(collect)
    return scenario


def test_items_known_to_be_bad_hold_no_walk_up_however_many(known_bad: Scenario, provider: Provider) -> None:
    known_bad.run()

    assert provider.asked[: MAX_FAILURES + 1] == [*(f"/items/{key}" for key in BAD[:MAX_FAILURES]), "/list"]
    assert set(known_bad.held()) == {"a", "b"}


def test_an_item_known_to_be_bad_is_asked_for_once_a_run(known_bad: Scenario, provider: Provider) -> None:
    known_bad.run()

    assert {gap["attempts"] for gap in known_bad.gaps()} == {2}
    assert len(set(provider.asked)) == len(provider.asked)


def test_a_pause_that_going_back_has_met_is_followed_by_the_walk(known_bad: Scenario, provider: Provider) -> None:
    provider.pause_s = 600
    run_id = known_bad.queue()

    first = known_bad.slice(run_id)

    assert first is not None
    assert first.pause_s == pytest.approx(600, abs=5)
    row = known_bad.row(run_id)
    assert (row["phase"], row["wait_reason"]) == ("walk", "asked to pause (Retry-After)")
    assert provider.asked == ["/items/bad0"]


def test_a_recovery_ends_when_a_walk_is_due(known_bad: Scenario, provider: Provider) -> None:
    provider.pause_s = 600
    [ring] = sweep_transient(known_bad.settings, known_bad.db)
    known_bad.execute(
        "INSERT INTO schedules (connection_id, every_s, next_run_at) SELECT id, 3600, now() FROM connections"
    )

    result = known_bad.slice(ring.run_id)

    assert result is not None
    assert result.status is not None
    assert {gap["status"] for gap in known_bad.gaps()} == {"open"}
