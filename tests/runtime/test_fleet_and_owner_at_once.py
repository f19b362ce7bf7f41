"""The fleet and its owner change the same connection at the same time, and both succeed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event

from pdpp_worker.connector import Context, Message, Start
from pdpp_worker.dispatch import dispatch, request_run, run_requests
from pdpp_worker.errors import NotFoundError
from pdpp_worker.recovery.sweep import recover
from pdpp_worker.store import connections, edits, engine, leases, run_slices, runs, schedules
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.commit import commit_batch
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.gaps.selection import GapFilter
from pdpp_worker.store.records import write_records
from pdpp_worker.store.run_status import derive_status
from tests.support.backlog import TARGETED, missing
from tests.support.schedule import is_due, plan
from tests.support.scripted import Scenario, manifest, record, state
from tests.support.waiting import PATIENCE_S, until

WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class Meanwhile:
    """Lets somebody else begin in the middle of what the test does, and go on only when they wait for a lock."""

    def __init__(self, scenario: Scenario, pool: ThreadPoolExecutor, work: Callable[[], Any]) -> None:
        self._scenario = scenario
        self._pool = pool
        self._work = work
        self._begun: Future[Any] | None = None

    def before(self, real: Callable[..., Any], *, waits: bool = True) -> Callable[..., Any]:
        """`real`, before which the other one begins; with `waits` it has to come to a lock."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self._begun is None:
                begun = self._begun = self._pool.submit(self._work)
                until(lambda: begun.done() or (waits and self._scenario.rows(WAITING)))
            return real(*args, **kwargs)

        return wrapped

    def after(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """`real`, which waits for the end of the other one, once that has begun."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self._begun is not None:
                self.result()
            return real(*args, **kwargs)

        return wrapped

    def result(self) -> Any:
        """The result of the other one."""
        assert self._begun is not None
        return self._begun.result(PATIENCE_S)


def remove(scenario: Scenario) -> int:
    """The owner removes the connection."""
    with scenario.db.begin() as connection:
        return connections.remove(connection, scenario.connection_id)


def test_recover_and_waive_of_all_connections_of_a_connector(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, no_haste: None
) -> None:
    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(record("a"), *missing("b"), state(1))
    scenario.run()
    with scenario.db.begin() as connection:  # the names are in another order than the ids
        other = connections.add(connection, "aaa", "scripted", {}, {})
        row = connections.by_id(connection, other)
    scenario.finish(request_run(scenario.db, row, trigger="manual")[0])
    by_name = [other, scenario.connection_id]

    def waive() -> int:
        with scenario.db.begin() as connection:
            return by_owner.waive(connection, by_name, GapFilter(reason="rate_limited"))

    with ThreadPoolExecutor() as pool:
        owner = Meanwhile(scenario, pool, waive)
        monkeypatch.setattr(due_gaps, "due_connections", owner.before(due_gaps.due_connections))
        recover(scenario.settings, scenario.db, by_name)

        assert owner.result() == 2


def test_a_tick_while_a_run_ends_passes_over_its_connection(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, no_haste: None
) -> None:
    scenario.send(record("a"), *missing("b"), state(1))
    plan(scenario)
    run_id = scenario.queue()

    with ThreadPoolExecutor() as pool:
        beat = Meanwhile(scenario, pool, lambda: dispatch(scenario.settings, scenario.db))
        end = beat.before(schedules.bring_forward, waits=False)
        monkeypatch.setattr(schedules, "bring_forward", end)
        scenario.slice(run_id)
        beat.result()

    assert scenario.row(run_id)["status"] == "partially_completed"
    assert is_due(scenario)


def test_a_removal_while_a_tick_queues_a_run(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario.send(record("a"))
    plan(scenario)

    with ThreadPoolExecutor() as pool:
        owner = Meanwhile(scenario, pool, lambda: remove(scenario))
        monkeypatch.setattr(run_requests, "full_scope", owner.before(run_requests.full_scope))
        dispatch(scenario.settings, scenario.db)
        owner.result()

    assert scenario.rows("SELECT 1 FROM connections UNION ALL SELECT 1 FROM runs") == []


def test_a_removal_while_a_worker_commits_its_first_batch(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario.settings = scenario.settings.model_copy(update={"batch_records": 1})
    scenario.send(record("a"), record("b"), state(1))
    run_id = scenario.queue()

    with ThreadPoolExecutor() as pool:
        owner = Meanwhile(scenario, pool, lambda: remove(scenario))
        monkeypatch.setattr("pdpp_worker.store.commit.write_records", owner.before(write_records))
        monkeypatch.setattr("pdpp_worker.runtime.committer.commit_batch", owner.after(commit_batch))

        assert scenario.slice(run_id) is None
        assert owner.result() == 1
    assert scenario.rows("SELECT 1 FROM records") == []


def test_a_run_that_ends_while_another_is_asked_for_is_not_taken_for_the_active_one(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    ended: list[int] = []

    def end_first(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO runs" in statement and not ended:
            ended.append(run_id)
            scenario.execute("UPDATE runs SET status = 'cancelled', ended_at = now() WHERE id = :id", id=run_id)

    event.listen(scenario.db.engine, "before_cursor_execute", end_first)
    try:
        assert scenario.queue() != run_id
    finally:
        event.remove(scenario.db.engine, "before_cursor_execute", end_first)


def test_a_run_of_a_connection_that_was_removed_meanwhile_is_refused(scenario: Scenario) -> None:
    with scenario.db.begin() as connection:
        row = connections.get(connection, "mine")
    scenario.send(record("a"))
    remove(scenario)

    with pytest.raises(NotFoundError, match=f"Connection {row.id} was removed"):
        request_run(scenario.db, row, trigger="manual")


def test_a_run_that_is_asked_to_stop_while_its_slice_ends_waits_for_nothing(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    in_two_hours = datetime.now(UTC) + timedelta(hours=2)
    real = run_slices.continue_later

    def cancelled_before(connection: Connection, claim: Claim, _: Any, *args: Any, **kwargs: Any) -> bool:
        with scenario.db.begin() as owner:
            runs.request_cancel(owner, scenario.connection_id)
        return real(connection, claim, 7200.0, *args, **{**kwargs, "wait_reason": "asked to pause"})

    monkeypatch.setattr(run_slices, "continue_later", cancelled_before)
    result = scenario.slice(run_id, stopping=True)

    row = scenario.row(run_id)
    assert row["not_before"] < in_two_hours
    assert row["wait_reason"] is None
    assert result is not None
    assert result.pause_s == 0


def test_a_run_cannot_be_asked_to_stop_while_its_end_is_written(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()

    def cancel() -> int | None:
        with scenario.db.begin() as connection:
            return runs.request_cancel(connection, scenario.connection_id)

    with ThreadPoolExecutor() as pool:
        owner = Meanwhile(scenario, pool, cancel)
        monkeypatch.setattr("pdpp_worker.store.run_end.derive_status", owner.before(derive_status))
        scenario.slice(run_id)

        assert owner.result() is None
    assert scenario.row(run_id)["status"] == "succeeded"


def test_two_credentials_that_are_given_at_once_are_both_kept(scenario: Scenario) -> None:
    with scenario.db.begin() as one, scenario.db.begin() as other:
        for owner in (one, other):
            connections.get(owner, "mine")
        connections.set_credentials(one, scenario.connection_id, {"x": "env:X"})
        one.commit()
        connections.set_credentials(other, scenario.connection_id, {"y": "env:Y"})

    assert scenario.one("SELECT credentials FROM connections")["credentials"] == {"x": "env:X", "y": "env:Y"}


def test_two_settings_that_are_changed_at_once_are_both_changed(scenario: Scenario) -> None:
    scenario.execute("""UPDATE connections SET settings = '{"x": 1, "z": 1}'""")

    with scenario.db.begin() as one, scenario.db.begin() as other:
        for owner in (one, other):
            connections.get(owner, "mine")
        edits.change_settings(one, scenario.connection_id, {"x": 2, "z": None})
        one.commit()
        edits.change_settings(other, scenario.connection_id, {"y": 2})

    assert scenario.one("SELECT settings FROM connections")["settings"] == {"x": 2, "y": 2}


def test_a_batch_outwaits_an_owner_who_changes_very_many_gaps(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_S", 1)
    scenario.db = Database(scenario.db.engine.url.render_as_string(hide_password=False))
    tries: list[Connection] = []
    event.listen(scenario.db.engine, "begin", tries.append)
    scenario.settings = scenario.settings.model_copy(update={"batch_records": 1})
    holds, may_end = threading.Event(), threading.Event()

    def waive() -> None:
        with scenario.db.begin() as connection:
            leases.lock(connection, [scenario.connection_id])
            holds.set()
            may_end.wait(PATIENCE_S)

    def collect(_: Start, __: Context) -> Iterator[Message]:
        owner = pool.submit(waive)
        assert holds.wait(PATIENCE_S)
        begun = len(tries)
        pool.submit(lambda: until(lambda: len(tries) > begun + 3)).add_done_callback(lambda _: may_end.set())
        yield record("a")  # its commit begins again and again
        owner.result(PATIENCE_S)
        yield record("b")

    with ThreadPoolExecutor() as pool:
        scenario.install(collect)
        run = scenario.run()
    scenario.db.close()

    assert run["status"] == "succeeded"
    assert run["records_flushed"] == 2


@pytest.mark.parametrize("change", [edits.change_settings, connections.set_credentials])
def test_a_change_to_a_connection_that_was_removed_meanwhile_is_refused(
    scenario: Scenario, change: Callable[[Connection, int, dict[str, Any]], None]
) -> None:
    remove(scenario)

    with scenario.db.begin() as connection, pytest.raises(NotFoundError, match="was removed"):
        change(connection, scenario.connection_id, {"x": "env:X"})


def test_a_schedule_for_a_connection_that_was_removed_meanwhile_is_refused(scenario: Scenario) -> None:
    remove(scenario)

    with pytest.raises(NotFoundError, match="was removed"):
        plan(scenario)
