"""Open pages: how soon one is told of a change, and what a thousand of them do to who asks for a page."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import httpx
from sqlalchemy import text

from bench.console.serving import Visitor
from pdpp_worker.store.engine import Database
from pdpp_worker.web.web_server import Server
from tests.support.waiting import until

_CHANGE = text("UPDATE schedules SET next_run_at = next_run_at + interval '1 second' WHERE connection_id = 1")


@dataclass(frozen=True)
class Told:
    """From a commit until an open page knows of it, and until it holds the new state as well, ms."""

    known_ms: float
    shown_ms: float


@dataclass(frozen=True)
class Crowd:
    """The outcome of many open pages: those that are told of changes, and those that were refused in a sentence."""

    held: int
    refused: int
    said: str
    page_ms: list[float]
    """How long a page took meanwhile."""


def told(visitor: Visitor, db: Database, path: str, times: int) -> Iterator[Told]:
    """Change something again and again, with one page open."""
    arrived: list[float] = []
    ready, over = threading.Event(), threading.Event()

    def follow() -> None:
        with visitor.http.stream("GET", "/live") as stream:
            for line in stream.iter_lines():
                ready.set()
                if line.startswith("data:"):
                    arrived.append(time.perf_counter())
                if over.is_set():
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    ready.wait()
    for number in range(times):
        time.sleep(0.2)
        with db.begin() as connection:
            connection.execute(_CHANGE)
        began = time.perf_counter()
        until(partial(_is_longer, arrived, number))
        known = 1000 * (arrived[number] - began)
        yield Told(known, known + visitor.get(path).total_ms)
    over.set()
    with db.begin() as connection:  # lets the thread see that it is over
        connection.execute(_CHANGE)
    thread.join()


def _is_longer(values: list[float], than: int) -> bool:
    return len(values) > than


def crowd(server: Server, visitor: Visitor, path: str, streams: int, times: int) -> Crowd:
    """Open many event streams at once, keep all of them, and ask for a page meanwhile."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    cookies = visitor.http.cookies
    with httpx.Client(base_url=server.url, cookies=cookies, limits=limits, timeout=60) as browser, ExitStack() as stack:
        answers = [stack.enter_context(browser.stream("GET", "/live")) for _ in range(streams)]
        page_ms = [visitor.get(path).total_ms for _ in range(times)]
        refused = [answer for answer in answers if answer.status_code == 503]
        said = refused[0].read().decode() if refused else ""
        return Crowd(sum(answer.status_code == 200 for answer in answers), len(refused), said, page_ms)
