"""A slice that waits long for the turn of a request keeps nothing back, hears everything, and is ended with others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.connector import Context, Message, Start
from pdpp_worker.dispatch import request_run
from pdpp_worker.errors import LeaseLostError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime import permits
from pdpp_worker.runtime.permits import Permit, holds_process
from pdpp_worker.runtime.renewals import renewals
from pdpp_worker.runtime.slice import SliceResult, run_slice
from pdpp_worker.store import connections, run_parked, run_slices, runs
from tests.support.scripted import Scenario, manifest, record, state
from tests.support.waiting import PATIENCE_S, until

INTERVAL_MS = 60_000.0


def waits(start: Start, context: Context) -> Iterator[Message]:
    """Send an item and its cursor, and wait for the turn of a request: whatever fails there is none of its business."""
    for number in count(start.cursor("items") or 0):
        yield record(f"n{number}")
        yield state(number + 1)
        with suppress(Exception), context.pace():
            pass


class Worker:
    """A thread for each slice, until the test is over."""

    def __init__(self, scenario: Scenario, redis: Redis) -> None:
        self._scenario, self._redis = scenario, redis
        self.threads = ThreadPoolExecutor()
        self.is_stopping = False
        self.stuck: list[int] = []

    def take_up(self, run_id: int) -> Future[SliceResult | None]:
        """Work one slice of the run."""
        scenario = self._scenario
        return self.threads.submit(
            lambda: run_slice(
                scenario.settings,
                scenario.db,
                self._redis,
                run_id,
                stopping=lambda: self.is_stopping,
                on_stuck=self.stuck.append,
            )
        )


@pytest.fixture
def worker(scenario: Scenario, redis: Redis) -> Iterator[Worker]:
    scenario.settings = scenario.settings.model_copy(update={"slice_s": 600.0})
    scenario.execute("UPDATE connections SET min_interval_ms = :ms", ms=INTERVAL_MS)
    scenario.install(waits)
    made = Worker(scenario, redis)
    yield made
    made.is_stopping = True
    made.threads.shutdown()


def queue_another(scenario: Scenario, name: str) -> int:
    """Queue a run of one more connection."""
    with scenario.db.begin() as connection:
        row = connections.by_id(connection, connections.add(connection, name, "scripted", {}, {}, INTERVAL_MS))
    return request_run(scenario.db, row, trigger="manual")[0]


def parked(scenario: Scenario, slices: int = 1) -> bool:
    """Whether so many slices wait."""
    return sum(beat.is_parked for beat in list(renewals._beats) if beat.db is scenario.db) == slices


def test_a_long_wait_begins_with_a_commit(scenario: Scenario, worker: Worker) -> None:
    worker.take_up(scenario.queue())

    until(lambda: parked(scenario))

    assert (set(scenario.held()), scenario.cursors()) == ({"n0"}, {"items": "1"})


def test_an_owner_who_cancels_is_heard_while_the_slice_waits(scenario: Scenario, worker: Worker) -> None:
    run_id = scenario.queue()
    slice_ = worker.take_up(run_id)
    until(lambda: parked(scenario))

    with scenario.db.begin() as connection:
        runs.request_cancel(connection, scenario.connection_id)
    result = slice_.result(PATIENCE_S)

    assert result is not None
    assert (result.status, set(scenario.held())) == ("cancelled", {"n0"})


def test_a_lease_that_was_lost_ends_the_wait_and_writes_nothing(scenario: Scenario, worker: Worker) -> None:
    run_id = scenario.queue()
    slice_ = worker.take_up(run_id)
    until(lambda: parked(scenario))

    scenario.execute("UPDATE leases SET token = token + 1, holder = 'another'")

    assert slice_.result(PATIENCE_S) is None
    assert scenario.one("SELECT holder, expires_at > clock_timestamp() AS held FROM leases") == {
        "holder": "another",
        "held": True,
    }
    assert scenario.row(run_id)["not_before"] <= scenario.row(run_id)["started_at"]


def test_a_worker_that_stops_ends_all_slices_that_wait_in_one_transaction(scenario: Scenario, worker: Worker) -> None:
    ids = [scenario.queue(), *(queue_another(scenario, name) for name in ("second", "third"))]
    slices = [worker.take_up(run_id) for run_id in ids]
    until(lambda: parked(scenario, len(ids)))

    worker.is_stopping = True
    results = [slice_.result(PATIENCE_S) for slice_ in slices]

    assert [result and result.status for result in results] == [None] * 3
    assert scenario.rows("SELECT 1 FROM leases WHERE expires_at > clock_timestamp()") == []
    ended = scenario.rows("SELECT xmin::text, died_slices, still_slices, idle_slices, wait_reason FROM runs")
    assert len({row.pop("xmin") for row in ended}) == 1
    assert ended == [{"died_slices": 0, "still_slices": 0, "idle_slices": 0, "wait_reason": None}] * 3
    happened = [row["run_id"] for row in scenario.rows("SELECT run_id FROM events WHERE type = 'slice_ended'")]
    assert sorted(happened) == sorted(ids)


def test_what_was_ended_goes_on_where_it_was(scenario: Scenario, worker: Worker) -> None:
    run_id = scenario.queue()
    first = worker.take_up(run_id)
    until(lambda: parked(scenario))
    worker.is_stopping = True
    first.result(PATIENCE_S)
    worker.is_stopping = False

    worker.take_up(run_id)
    until(lambda: parked(scenario))

    assert set(scenario.held()) == {"n0", "n1"}


def test_a_wait_is_no_silence(scenario: Scenario, worker: Worker) -> None:
    scenario.settings = scenario.settings.model_copy(update={"silence_s": 0.05, "lease_s": 0.3})
    worker.take_up(scenario.queue())
    until(lambda: parked(scenario))

    until_renewed(scenario, times=3)

    assert worker.stuck == []


def until_renewed(scenario: Scenario, times: int) -> None:
    """Wait until the lease, which would run out meanwhile, was extended so often."""
    seen = set()

    def extended() -> bool:
        lease = scenario.one("SELECT expires_at, expires_at > clock_timestamp() - interval '10 s' AS held FROM leases")
        seen.add(lease["expires_at"])
        return len(seen) > times

    until(extended)


def test_a_connector_cannot_swallow_the_failure_of_a_commit_before_a_wait(
    scenario: Scenario, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise LeaseLostError("gone")

    monkeypatch.setattr("pdpp_worker.runtime.committer.commit_batch", fails)

    assert worker.take_up(scenario.queue()).result(PATIENCE_S) is None


def test_a_slice_whose_lease_was_lost_is_not_ended_with_the_others(scenario: Scenario) -> None:
    scenario.send()
    ids = [scenario.queue(), queue_another(scenario, "second")]
    with scenario.db.begin() as connection:
        claims = [run_slices.claim_slice(connection, run_id, "here", 30.0) for run_id in ids]
        connection.execute(text("UPDATE leases SET token = token + 1 WHERE run_id = :id"), {"id": ids[0]})
        left = [run_parked.Parked(one.claim, progressed=True, rate=None) for one in claims if one is not None]

        ended = run_parked.end_all(connection, left)

    assert ended == {ids[1]}
    assert [row["run_id"] for row in scenario.rows("SELECT run_id FROM leases WHERE expires_at > now()")] == [ids[0]]


def test_a_slice_that_waits_leaves_its_permit_to_another() -> None:
    free = threading.Semaphore(1)
    with Permit(free, rests=True) as first, first.resting(), first.resting(), Permit(free, rests=True):
        assert not free.acquire(blocking=False)
    assert free.acquire(blocking=False)


def test_a_wait_that_is_over_after_its_slice_takes_no_permit() -> None:
    free = threading.BoundedSemaphore(1)
    permit = Permit(free, rests=True)

    with ExitStack() as late, permit:
        late.enter_context(permit.resting())

    assert free.acquire(blocking=False)


def test_a_slice_that_holds_what_the_others_wait_for_goes_on_without_a_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permits, "PATIENCE_S", 0.0)
    free = threading.BoundedSemaphore(1)
    other = Permit(free, rests=True)

    with Permit(free, rests=True) as first:
        with first.resting():
            other.__enter__()
        with first.resting():
            other.__exit__()

    assert free.acquire(blocking=False)


def test_a_slice_with_a_process_keeps_its_permit_while_it_waits() -> None:
    free = threading.Semaphore(1)
    with Permit(free, rests=False) as only, only.resting():
        assert not free.acquire(blocking=False)


@pytest.mark.parametrize(
    ("given", "settings", "holds"),
    [
        (manifest(), {}, False),
        (manifest(command=["run"]), {}, True),
        (manifest(bindings=["network", "browser_profile"]), {}, False),
        (manifest(bindings=["network", "browser_profile"]), {"reach": "browser"}, True),
    ],
)
def test_a_command_and_a_browser_are_processes(given: Manifest, settings: dict[str, Any], holds: bool) -> None:
    assert holds_process(given, settings) is holds
