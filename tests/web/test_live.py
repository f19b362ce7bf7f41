"""Open pages are told of changes, and too many of them harm nobody."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from sqlalchemy import QueuePool, text

from pdpp_worker.owner import connection_changes, gap_changes, gap_filters, manual_runs, schedule_rules
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views.change_views import CHANNEL
from pdpp_worker.web.live import MOST
from pdpp_worker.web.web_server import THREADS
from tests.support.scripted import Scenario, manifest
from tests.web.conftest import Owner, Running, collect


def lines(stream: httpx.Response) -> Iterator[str]:
    return (line for line in stream.iter_lines() if line)


def test_a_page_is_told_of_what_is_committed(owner: Owner, scenario: Scenario) -> None:
    with owner.browser.stream("GET", "/live", timeout=30) as stream:
        told = lines(stream)
        assert next(told) == ": hello"

        collect(scenario)

        assert next(line for line in told if line.startswith("data:")) == "data: changed"


CHANGES: dict[str, Callable[[Database], object]] = {
    "pause": lambda db: connection_changes.pause(db, "mine", True),
    "settings": lambda db: connection_changes.change(db, "mine", ["place=there"], None),
    "schedule": lambda db: connection_changes.change(db, "mine", [], schedule_rules.read("2h", None, None, None)),
    "rate": lambda db: connection_changes.set_rate(db, "mine", 500.0),
    "waive": lambda db: gap_changes.waive(db, "mine", gap_filters.gap_filter(None, None, [1])),
    "reopen": lambda db: gap_changes.reopen(db, "mine", gap_filters.gap_filter(None, None, [1])),
    "run": lambda db: manual_runs.request(db, "mine"),
    "cancel": lambda db: manual_runs.cancel(db, "mine"),
    "learned rate": lambda db: execute(db, "UPDATE rate_states SET state = '{}'"),
    "account": lambda db: execute(db, "UPDATE connections SET account_label = 'me' WHERE id = 1"),
}


def execute(db: Database, statement: str) -> None:
    with db.begin() as connection:
        connection.execute(text(statement))


def test_every_change_of_what_a_page_shows_is_told(scenario: Scenario, db: Database) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", settings={"place": {"title": "Place"}}))
    collect(scenario)
    execute(db, "INSERT INTO rate_states (connection_id, state) VALUES (1, '{}') ON CONFLICT DO NOTHING")

    with listening(db) as told:
        silent = [name for name, change in CHANGES.items() if (change(db), told())[1] != [""]]

    assert silent == []


def test_what_changes_nothing_is_not_told(scenario: Scenario, db: Database) -> None:
    collect(scenario)

    with listening(db) as told:
        execute(db, "UPDATE runs SET error = 'no such run' WHERE id = 0")
        execute(db, f"SELECT pg_notify('{CHANNEL}', 'the end')")

        assert told() == ["the end"]


@contextmanager
def listening(db: Database) -> Iterator[Callable[[], list[str]]]:
    """Waits for the next word about a change."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"LISTEN {CHANNEL}")
        connection.detach()
        yield lambda: [one.payload for one in driver.notifies(timeout=5, stop_after=1)]


def test_more_pages_than_are_told_are_refused_and_the_console_goes_on(owner: Owner) -> None:
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=owner.url, cookies=owner.browser.cookies, limits=limits, timeout=30) as browser,
        ExitStack() as stack,
    ):
        answers = [stack.enter_context(browser.stream("GET", "/live")).status_code for _ in range(MOST + 3)]

        assert answers == [200] * MOST + [503] * 3
        assert browser.get("/").status_code == 200


def test_a_page_that_is_closed_makes_room(owner: Owner) -> None:
    for _ in range(MOST + 3):
        with owner.browser.stream("GET", "/live", timeout=30) as stream:
            assert stream.status_code == 200


def test_no_page_waits_for_a_free_connection_to_the_database(running: Running) -> None:
    pool = running.database.engine.pool

    assert isinstance(pool, QueuePool)
    assert pool.size() + pool._max_overflow > THREADS + 1  # the one that listens for live pages


def test_nobody_else_is_told(owner: Owner) -> None:
    with httpx.Client(base_url=owner.url) as stranger:
        assert stranger.get("/live").status_code == 303


def test_an_answer_waits_for_no_acknowledgement_of_its_first_part(owner: Owner, running: Running) -> None:
    owner.get("/connections/add")

    [connection] = running._inner[0].server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
