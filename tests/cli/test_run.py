"""Asking for a run, and what its end says."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from pdpp_worker.cli import progress
from pdpp_worker.connector import Context, Message, Reason, ResourceScope, Start, skip
from pdpp_worker.doctor.workers import served_queues
from pdpp_worker.store import runs
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, record, state


@contextmanager
def at_work(scenario: Scenario) -> Iterator[None]:
    """A worker for the scenario's runs, as long as the block lasts."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            for run in scenario.rows("SELECT id FROM runs WHERE status IN ('queued', 'running')"):
                scenario.slice(run["id"])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _succeeds(scenario: Scenario) -> None:
    scenario.send(record("a"), record("b"), state({"at": 1}))


def _misses(scenario: Scenario) -> None:
    scenario.send(record("a"), skip("items", Reason.RATE_LIMITED, ResourceScope(resource_id="b")), state({"at": 1}))


def _fails(scenario: Scenario) -> None:
    def broken(_start: object, _context: object) -> Iterator[object]:
        raise RuntimeError("broken")
        yield

    scenario.install(broken)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        (_succeeds, 0, "succeeded: 2 new or changed, 0 unchanged, missing: nothing."),
        (_misses, 3, "partially completed: 1 new or changed, 0 unchanged, missing: 1 (rate_limited 1); tried again"),
        (_fails, 1, "failed: 0 new or changed, 0 unchanged, missing: unknown"),
    ],
)
def test_the_exit_code_and_the_last_sentence_say_how_the_run_ended(
    cli: Cli, scenario: Scenario, script: Callable[[Scenario], None], code: int, said: str
) -> None:
    script(scenario)

    with at_work(scenario):
        result = cli("run", "mine")

    assert result.exit_code == code
    assert said in result.stdout


def test_a_run_that_lacks_something_names_the_command_that_says_why(cli: Cli, scenario: Scenario) -> None:
    _misses(scenario)

    with at_work(scenario):
        result = cli("run", "mine")

    assert "What is missing, and why: pdpp-worker gaps mine" in result.stdout


def test_a_run_that_lacks_nothing_does_not_hide_what_earlier_ones_lack(cli: Cli, scenario: Scenario) -> None:
    _misses(scenario)
    scenario.run()
    scenario.execute("UPDATE gaps SET next_attempt_at = now() + interval '1 hour'")
    scenario.send(state({"at": 2}))

    with at_work(scenario):
        said = cli("run", "mine")

    assert said.exit_code == 0, said.output
    assert "Of earlier runs is still missing: 1 gap; see: pdpp-worker gaps mine" in said.output


def test_a_sign_in_that_no_longer_works_is_answered_with_what_to_do(cli: Cli, scenario: Scenario) -> None:
    scenario.send(skip("items", Reason.CREDENTIALS_EXPIRED, ResourceScope(resource_id="a")))

    with at_work(scenario):
        result = cli("run", "mine")

    assert Reason.CREDENTIALS_EXPIRED.sentence in result.stdout


def test_a_full_run_walks_everything_anew(cli: Cli, scenario: Scenario) -> None:
    _succeeds(scenario)

    with at_work(scenario):
        cli("run", "mine")
        cli("run", "mine", "--full")

    assert [run["mode"] for run in cli.json("runs")] == ["full_refresh", "incremental"]
    assert [start.state for start in scenario.starts] == [None, None]


def test_a_connection_that_does_not_exist_is_refused_at_once(cli: Cli, scenario: Scenario) -> None:
    assert cli.refusal("run", "nope") == "There is no connection named 'nope' (known: mine).\n"


def test_without_waiting_the_run_is_left_in_the_queue(cli: Cli, scenario: Scenario) -> None:
    _succeeds(scenario)

    said = cli.ok("run", "mine", "--no-wait")

    [run] = cli.json("runs")
    assert run["status"] == "queued"
    assert f"pdpp-worker runs show {run['id']}" in said


def test_a_run_that_no_worker_takes_says_how_to_start_one(
    cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_UNHEARD_S", 0.1)
    monkeypatch.setattr(progress, "served_queues", lambda: served_queues(0.1))
    _succeeds(scenario)

    result = cli("run", "mine")

    assert result.exit_code == 1
    assert "no worker" in result.stderr
    assert "pdpp-worker up" in result.stderr
    assert cli.json("runs")[0]["status"] == "queued"


def test_a_second_request_finds_the_active_run(cli: Cli, scenario: Scenario) -> None:
    _succeeds(scenario)
    cli.ok("run", "mine", "--no-wait")

    second = cli("run", "mine", "--no-wait")

    assert "active already" in second.stderr
    assert len(cli.json("runs")) == 1
    assert "pdpp-worker cancel mine" in cli.refusal("run", "mine", "--full", "--no-wait")


def test_a_cancelled_run_keeps_what_it_has(cli: Cli, scenario: Scenario) -> None:
    def script(_start: Start, _context: Context) -> Iterator[Message]:
        yield record("a")
        with scenario.db.begin() as connection:
            runs.request_cancel(connection, scenario.connection_id)
        yield from (record(f"r{number}") for number in itertools.count())

    scenario.install(script)

    with at_work(scenario):
        result = cli("run", "mine")

    assert result.exit_code == 1
    assert "cancelled" in result.stdout
    assert "a" in scenario.held()


def test_a_run_can_be_asked_to_stop_before_a_worker_takes_it(cli: Cli, scenario: Scenario) -> None:
    _succeeds(scenario)
    run_id = scenario.queue()

    assert f"Run {run_id} of mine is asked to stop" in cli.ok("cancel", "mine")

    scenario.slice(run_id)
    assert scenario.row(run_id)["status"] == "cancelled"
    assert "has no active run" in cli.ok("cancel", "mine")


def test_recovery_can_be_asked_for_by_connection_and_by_connector(cli: Cli, scenario: Scenario) -> None:
    _misses(scenario)
    scenario.run()
    scenario.send(record("b"))

    said = cli.ok("recover", "scripted")

    [active, _] = cli.json("runs")
    assert (active["status"], active["trigger"]) == ("queued", "manual")
    assert f"Run {active['id']}" in said
    assert "Run 2 of mine is active" in cli.ok("recover", "mine")
    assert "neither a connection (mine) nor a connector" in cli.refusal("recover", "nope")


def test_a_run_that_waits_for_its_time_is_not_taken_for_unheard(
    cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider asked for a pause; nobody has to start anything."""
    was_due = []
    monkeypatch.setattr(progress, "_UNHEARD_S", 0.0)
    monkeypatch.setattr(progress, "_require_workers", lambda run: was_due.append(run.not_before <= datetime.now(UTC)))
    _succeeds(scenario)
    run_id = scenario.queue()
    scenario.rows("UPDATE runs SET not_before = now() + interval '6 seconds' RETURNING id")

    with at_work(scenario):
        result = cli("run", "mine")

    assert all(was_due)
    assert result.exit_code == 0
    assert f"Run {run_id} of mine succeeded" in result.stdout
