"""Connections to the provider of this benchmark, with a connector that reads a list and then page after page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

import httpx

from pdpp_worker.store import connections, runs
from pdpp_worker.store.engine import Database

NAME = "paced"
INTERVALS_S = (5, 10, 20)
CODE = """
from datetime import UTC, datetime
from pdpp_worker.connector import Record, State

def collect(start, context):
    client = context.http(base_url=context.settings["base_url"])
    client.get("/list")
    after = start.cursor("items") or 0
    while True:
        page = client.get(f"/items?after={after}").json()
        for item in page["items"]:
            yield Record(stream="items", key=item["id"], data=item, emitted_at=datetime.now(UTC))
        after = page["next"]
        yield State(stream="items", cursor=after)
"""
MANIFEST = {
    "name": NAME,
    "version": "1.0.0",
    "title": NAME,
    "checkpoint_commit": "incremental",
    "settings": {"base_url": {"title": "Address", "type": "url"}},
    "streams": [{"name": "items", "schema": {"type": "object", "required": ["id"]}}],
}


class Seen(TypedDict):
    """The provider's time, and for each account the instants of its requests and how many of them were for the list."""

    now: float
    arrivals: dict[str, list[float]]
    lists: dict[str, int]


def interval_s(account: str) -> int:
    """The least time between two requests of an account, s."""
    return INTERVALS_S[int(account) % len(INTERVALS_S)]


def connect(db: Database, url: str, count: int) -> None:
    """Add so many connections, and queue a run for each."""
    for number in range(count):
        with db.begin() as connection:
            ceiling_ms = interval_s(str(number)) * 1000.0
            settings = {"base_url": f"{url}/{number}"}
            new = connections.add(connection, f"{NAME}-{number}", NAME, settings, {}, ceiling_ms)
            runs.create(connection, new, trigger="manual", streams=[{"name": "items"}], version="1.0.0")


@contextmanager
def provider() -> Iterator[str]:
    """A provider that runs inside the `with`; its URL."""
    command = [sys.executable, "-m", "bench.paced.provider"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def arrivals(url: str) -> Seen:
    """The requests that the provider has seen so far."""
    found: Seen = httpx.get(f"{url}/arrivals").json()
    return found
