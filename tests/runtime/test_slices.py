"""A run is worked slice by slice; nothing is lost or doubled between them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from pdpp_worker.connector import Context, Message, Progress, Reason, Start, skip
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.runtime import collector
from pdpp_worker.runtime.time_limits import SliceEnded
from pdpp_worker.store import runs
from tests.support.scripted import Scenario, record, state


def counting(total: int) -> object:
    """A connector that counts to `total` and keeps its place at every number."""

    def count(start: Start, _: Context) -> Iterator[Message]:
        place = start.cursor("items") or 0
        for number in range(place, total):
            yield record(f"n{number}")
            yield state(number + 1)

    return count


def test_a_run_goes_on_where_its_last_slice_stopped(scenario: Scenario) -> None:
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 10, "batch_records": 2})
    scenario.install(counting(23))  # type: ignore[arg-type]

    run = scenario.run()

    assert run["status"] == "succeeded"
    assert run["slices"] > 3
    assert set(scenario.held()) == {f"n{number}" for number in range(23)}
    assert len(scenario.starts) == run["slices"]


def test_a_slice_that_has_not_moved_its_place_is_not_cut(scenario: Scenario) -> None:
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 1, "slice_s": 0.001})
    scenario.send(*[record(f"n{number}") for number in range(50)], state(50))

    run = scenario.run()

    assert (run["status"], run["slices"], run["records_emitted"]) == ("succeeded", 1, 50)


def test_a_worker_that_shuts_down_keeps_the_place_for_the_next(scenario: Scenario) -> None:
    scenario.install(counting(5))  # type: ignore[arg-type]
    run_id = scenario.queue()

    stopped = scenario.slice(run_id, stopping=True)
    row = scenario.row(run_id)
    rest = scenario.slice(run_id)

    assert stopped is not None
    assert (stopped.status, row["status"]) == (None, "running")
    assert rest is not None
    assert rest.status == "succeeded"


def test_a_long_wait_ends_the_slice_and_the_run_goes_on_when_it_is_over(scenario: Scenario) -> None:
    def waits(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        yield state(1)
        raise SliceEnded(3600.0, "asked to pause")

    scenario.install(waits)
    run_id = scenario.queue()

    result = scenario.slice(run_id)

    assert result is not None
    assert result.pause_s == 3600.0
    row = scenario.row(run_id)
    assert row["not_before"] - datetime.now(UTC) == pytest.approx(timedelta(hours=1), abs=timedelta(minutes=1))
    assert row["wait_reason"] == "asked to pause"
    assert scenario.cursors() == {"items": "1"}
    assert scenario.slice(run_id) is None


def test_a_doorbell_that_rings_twice_does_nothing_the_second_time(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    scenario.slice(run_id)

    assert scenario.slice(run_id) is None
    assert scenario.row(run_id)["slices"] == 1


def test_a_run_asked_for_twice_is_one_run(scenario: Scenario) -> None:
    scenario.send()

    assert scenario.queue() == scenario.queue()


def test_a_worker_that_lost_its_lease_writes_nothing(scenario: Scenario) -> None:
    def usurped(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        with scenario.db.begin() as connection:
            connection.execute(text("UPDATE leases SET token = token + 1, holder = 'another'"))
        yield state(1)

    scenario.install(usurped)
    run_id = scenario.queue()

    assert scenario.slice(run_id) is None
    assert scenario.held() == {}
    assert scenario.cursors() == {}
    assert scenario.row(run_id)["status"] == "running"


def test_the_owner_can_stop_a_run_and_keeps_what_is_durable(scenario: Scenario) -> None:
    def endless(_: Start, __: Context) -> Iterator[Message]:
        for number in range(10**9):
            yield record(f"n{number}")
            if number == 10:
                with scenario.db.begin() as connection:
                    runs.request_cancel(connection, scenario.connection_id)

    scenario.install(endless)
    scenario.settings = scenario.settings.model_copy(update={"batch_records": 5})

    run = scenario.run()

    assert run["status"] == "cancelled"
    assert run["records_durable"] == len(scenario.held()) > 10


def test_a_connector_that_floods_ends_and_keeps_what_came_before(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def floods(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        yield state(1)
        for _number in range(100):
            yield Progress(message="nothing new")
        yield record("b")

    scenario.install(floods)
    monkeypatch.setattr(collector, "MOST_PROGRESS", 99)

    run = scenario.run()

    assert run["status"] == "partially_completed"
    assert "more than 99 messages of PROGRESS in a row" in run["error"]
    assert (set(scenario.held()), scenario.cursors()) == ({"a"}, {"items": "1"})


def test_a_queued_run_can_be_stopped_before_it_starts(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    with scenario.db.begin() as connection:
        runs.request_cancel(connection, scenario.connection_id)

    scenario.slice(run_id)

    assert scenario.row(run_id)["status"] == "cancelled"
    assert scenario.starts == []


def test_a_whole_stream_gap_closes_when_the_stream_is_walked_to_its_end(scenario: Scenario) -> None:
    scenario.send(record("a"), skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM))
    scenario.run()

    scenario.send(record("a"), record("b"))
    run = scenario.run()

    assert run["status"] == "succeeded"
    assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]


def test_a_full_refresh_starts_without_a_cursor_and_keeps_its_own_place(scenario: Scenario) -> None:
    scenario.install(counting(4))  # type: ignore[arg-type]
    scenario.run()
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 4, "batch_records": 1})

    run = scenario.run(full=True)

    assert (run["records_emitted"], run["records_unchanged"]) == (4, 4)
    assert scenario.starts[1].state is None
    assert scenario.starts[-1].cursor("items") == 4 or scenario.starts[-1].cursor("items") == 2


def test_without_the_pacing_server_the_place_is_kept_and_nothing_is_missed(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks(_: Start, context: Context) -> Iterator[Message]:
        yield record("a")
        yield state(1)
        context.http(base_url="http://127.0.0.1:1").get("/")

    scenario.install(asks)
    monkeypatch.setattr(scenario, "_redis", connect("redis://127.0.0.1:1/0", 0.2))
    run_id = scenario.queue()

    result = scenario.slice(run_id)

    assert result is not None
    assert (result.status, scenario.row(run_id)["status"]) == (None, "running")
    assert result.pause_s > 0
    assert (scenario.cursors(), scenario.gaps()) == ({"items": "1"}, [])


def test_a_record_larger_than_the_database_holds_costs_only_itself(scenario: Scenario) -> None:
    huge = record("huge", n=[1] * 20_000_000)
    scenario.send(record("a"), huge, record("b"), state(2))

    run = scenario.run()

    assert (run["status"], run["records_rejected"], set(scenario.held())) == ("partially_completed", 1, {"a", "b"})
