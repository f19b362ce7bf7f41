"""Requests that a manifest groups have rates of their own, in the rate model, in Redis and in an owner's views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from redis import Redis

from pdpp_worker.connector import Context, Message, Start, Throttled
from tests.runtime.test_walks_come_first import Provider, provider
from tests.support.scripted import Scenario, manifest, record, state

__all__ = ["provider"]

LANES = {"items": ["/items/*"], "lists": ["/list"]}


@pytest.fixture
def two_lanes(scenario: Scenario, provider: Provider) -> Scenario:
    """A connector that asks for an item, which is refused with a long pause, and then for lists."""
    provider.pause_s = 600

    def collect(_: Start, context: Context) -> Iterator[Message]:
        client = context.http(base_url=provider.url)
        with suppress(Throttled):
            client.get("/items/1")
        for number in range(3):
            client.get("/list")
            yield record(f"r{number}")
        yield state(1)

    scenario.install(collect, manifest(pacing={"min_interval_ms": 1, "lanes": LANES}))
    return scenario


def test_a_pause_of_one_lane_lets_the_others_go_on(two_lanes: Scenario, provider: Provider) -> None:
    run = two_lanes.run()

    assert (run["status"], run["slices"]) == ("succeeded", 1)
    assert provider.asked == ["/items/1", "/list", "/list", "/list"]


def test_what_is_kept_of_the_rate_tells_the_lanes_apart(two_lanes: Scenario) -> None:
    two_lanes.run()

    kept = two_lanes.one("SELECT state FROM rate_states")["state"]
    assert set(kept["lanes"]) == {"items", "lists"}
    assert kept["lanes"]["items"]["hold"]["reason"] == "asked to pause (Retry-After)"
    assert kept["lanes"]["lists"]["hold"] is kept["hold"] is None


def test_a_pause_of_one_lane_is_known_to_every_worker(two_lanes: Scenario, redis: Redis) -> None:
    two_lanes.run()

    keys = {key.decode().partition("}:")[2] for key in redis.keys("pdpp:pace:*")}  # type: ignore[union-attr]
    assert "hold:items" in keys
    assert "hold:lists" not in keys
