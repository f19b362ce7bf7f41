"""A connector's connection is opened while its slice is claimed: paced, used once, and closed where nobody takes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from redis import Redis

from pdpp_worker.connector import Closes, Context, Message, Start, State, Throttled
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.runtime.opened_ahead import OpenedAhead
from pdpp_worker.store import connections, run_slices
from tests.support.scripted import Scenario, manifest, record


class Source:
    """A source to which connections are opened ahead."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.opened = self.closed = 0
        self.failure: Exception | None = None
        self.taken: list[Closes | None] = []
        self.is_closed = threading.Event()
        scenario.install(self.collect, open_ahead=self.open_ahead)

    def open_ahead(self, _settings: Mapping[str, Any], _secret: Callable[[str], Any]) -> Callable[[], Closes]:
        return self._open

    def _open(self) -> Closes:
        self.opened += 1
        if self.failure is not None:
            raise self.failure
        return self

    def close(self) -> None:
        self.closed += 1
        self.is_closed.set()

    def collect(self, _: Start, context: Context) -> Iterator[Message]:
        self.taken += [context.opened_ahead(), context.opened_ahead()]
        yield record("a")
        yield State(stream="items", cursor=1)


@pytest.fixture
def source(scenario: Scenario, redis: Redis) -> Source:
    """A source that was asked before: a bucket that was lost costs an interval."""
    scenario.manifest = manifest(pacing={"min_interval_ms": 1, "cold_start_ms": 1})
    Bucket(redis, scenario.connection_id).take(1.0, 1.0)
    return Source(scenario)


def test_what_was_opened_is_handed_over_once_and_is_one_request(source: Source) -> None:
    run = source.scenario.run()

    assert source.taken == [source, None]
    assert (run["status"], run["spent_requests"]) == ("succeeded", 1)
    assert (source.opened, source.closed) == (1, 0)


def test_a_failure_to_open_is_the_connectors_and_slows_its_requests(source: Source) -> None:
    source.failure = Throttled("slow down")

    run = source.scenario.run()

    assert run["status"] == "failed"
    assert source.scenario.one("SELECT state FROM rate_states")["state"]["back_off"]["why"] == "rate_limited"


def test_what_was_opened_for_a_claim_that_fails_is_closed(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_slices, "claim_slice", Mock(return_value=None))

    source.scenario.slice(source.scenario.queue())

    assert source.is_closed.wait(10)
    assert (source.opened, source.taken) == (1, [])


def test_nothing_is_opened_beside_the_slice_of_another_worker(source: Source) -> None:
    run_id = source.scenario.queue()
    source.scenario.execute("UPDATE leases SET expires_at = clock_timestamp() + interval '1 minute'")

    source.scenario.slice(run_id)

    assert source.opened == 0


def test_nothing_is_opened_while_the_provider_wants_a_pause(source: Source, redis: Redis) -> None:
    Bucket(redis, source.scenario.connection_id).hold(60)

    source.scenario.run()

    assert source.opened == 0
    assert source.taken == [None, None]


def test_nothing_is_opened_for_a_run_that_its_owner_stops(source: Source) -> None:
    run_id = source.scenario.queue()
    source.scenario.execute("UPDATE runs SET cancel_requested = true")

    source.scenario.slice(run_id)

    assert source.opened == 0


def test_a_fault_before_anything_is_opened_is_left_to_the_slice(source: Source, scenario: Scenario) -> None:
    scenario.install(source.collect, open_ahead=Mock(side_effect=KeyError("port")))

    assert scenario.run()["status"] == "succeeded"
    assert source.taken == [None, None]


def test_what_was_opened_with_other_settings_or_credentials_is_closed_at_once(source: Source) -> None:
    with source.scenario.db.begin() as connection:
        row = connections.get(connection, "mine")
    ahead = OpenedAhead(row, source.open_ahead({}, Mock()), 0.0)

    taken = ahead.taken(replace(row, credentials_version=row.credentials_version + 1), Mock())

    assert taken is None
    assert source.is_closed.wait(10)
