"""Open pages are told of changes, and too many of them harm nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
from sqlalchemy import QueuePool

from pdpp_worker.web.live import MOST
from pdpp_worker.web.web_server import THREADS
from tests.support.scripted import Scenario
from tests.web.conftest import Owner, Running, collect


def lines(stream: httpx.Response) -> Iterator[str]:
    return (line for line in stream.iter_lines() if line)


def test_a_page_is_told_of_what_is_committed(owner: Owner, scenario: Scenario) -> None:
    with owner.browser.stream("GET", "/live", timeout=30) as stream:
        told = lines(stream)
        assert next(told) == ": hello"

        collect(scenario)

        assert next(line for line in told if line.startswith("data:")) == "data: changed"


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
