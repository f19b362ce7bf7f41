"""The watchdog: a connection that stands still is named once, one that waits is not, and one that moves is told too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdpp_worker import registry, watchdog
from pdpp_worker.connector import WHOLE_STREAM, Context, DetailGap, Message, Reason, Start, skip
from pdpp_worker.coverage.stillness import untouched
from pdpp_worker.store import connector_queues
from pdpp_worker.store.views import fleet_views, reading, wait_views
from tests.cli.conftest import Cli, cli, scenario
from tests.support.scripted import Scenario, record

__all__ = ["cli", "scenario"]

HOLD = "INSERT INTO rate_states (connection_id, state) VALUES (:id, CAST(:state AS jsonb))"
SCHEDULE = """
    INSERT INTO schedules (connection_id, every_s, paused, next_run_at)
    VALUES (:id, 3600, :paused, now() - interval '10 minutes')
"""


def hold(scenario: Scenario, until: timedelta, reason: str = "answered 503 three times") -> None:
    """Let the pacing hold the connection."""
    held = {"until": (datetime.now(UTC) + until).isoformat(), "reason": reason}
    scenario.execute(HOLD, id=scenario.connection_id, state=json.dumps({"interval_ms": 1000.0, "hold": held}))


def told(scenario: Scenario) -> list[tuple[str, str | None]]:
    """The watchdog's events: type and cause."""
    rows = scenario.rows(
        "SELECT type, data ->> 'cause' AS cause FROM events WHERE type IN ('still', 'moving') ORDER BY id"
    )
    return [(row["type"], row["cause"]) for row in rows]


def untouched_s(scenario: Scenario) -> float:
    """The metric of the connection, which is by the same rule as the watchdog's word."""
    with scenario.db.begin() as connection:
        connector_queues.keep(connection, dict.fromkeys(registry.all_connectors(), "collect"))
        samples = {number.metric: dict(found) for number, found in fleet_views.read(connection)}
        (waits,), now = wait_views.read(connection), reading.now(connection)
    found = untouched(waits, installed="scripted" in registry.all_connectors(), now=now)
    told_s = samples["pdpp_oldest_eligible_untouched_seconds"]["mine",]
    assert told_s == pytest.approx((now - found.since).total_seconds() if found else 0.0, abs=2.0)
    return told_s


@pytest.fixture
def missing(scenario: Scenario) -> Scenario:
    """A gap that is due for ten minutes, as is all that was done before."""
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="timed_out"))
    scenario.run()
    scenario.execute("UPDATE gaps SET next_attempt_at = now() - interval '10 minutes'")
    scenario.execute("UPDATE runs SET touched_at = now() - interval '20 minutes'")
    return scenario


@pytest.fixture
def stuck(missing: Scenario) -> Scenario:
    """A run that was queued ten minutes ago, and of which workers were just notified."""
    missing.queue()
    missing.execute(
        "UPDATE runs SET created_at = now() - interval '10 minutes', not_before = now() - interval '10 minutes', "
        "rung_at = now() WHERE ended_at IS NULL"
    )
    return missing


def test_a_gap_that_is_due_and_that_no_run_goes_for_stands_still(missing: Scenario) -> None:
    assert watchdog.watch(missing.db) == ["mine"]

    assert told(missing) == [("still", "no_run")]
    assert 590 < untouched_s(missing) < 700


def test_a_run_that_no_worker_takes_stands_still(stuck: Scenario) -> None:
    assert watchdog.watch(stuck.db) == ["mine"]

    assert told(stuck) == [("still", "no_worker")]


def test_a_run_that_nobody_rings_for_stands_still(stuck: Scenario) -> None:
    stuck.execute("UPDATE runs SET rung_at = NULL")

    watchdog.watch(stuck.db)

    assert told(stuck) == [("still", "not_dispatched")]


def test_a_schedule_that_is_due_and_starts_no_run_stands_still(missing: Scenario) -> None:
    missing.execute(SCHEDULE, id=missing.connection_id, paused=False)

    assert watchdog.watch(missing.db) == ["mine"]


def test_a_connection_that_is_held_waits(missing: Scenario) -> None:
    hold(missing, timedelta(hours=1))

    assert watchdog.watch(missing.db) == []

    assert told(missing) == []
    assert untouched_s(missing) == 0


def test_a_run_that_waits_with_a_reason_waits(stuck: Scenario) -> None:
    stuck.execute("UPDATE runs SET not_before = now() + interval '1 hour', wait_reason = 'asked to pause'")

    assert watchdog.watch(stuck.db) == []


def test_a_connection_that_is_paused_waits(missing: Scenario) -> None:
    missing.execute(SCHEDULE, id=missing.connection_id, paused=True)

    assert watchdog.watch(missing.db) == []


def test_a_connection_whose_sign_in_expired_waits_for_its_owner(missing: Scenario) -> None:
    missing.execute("UPDATE gaps SET reason = 'credentials_expired', next_attempt_at = NULL")

    assert watchdog.watch(missing.db) == []


def test_a_connection_without_its_connector_waits_for_its_owner(
    missing: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "all_connectors", dict)

    assert watchdog.watch(missing.db) == []


def test_a_cause_is_told_once_and_its_end_too(missing: Scenario) -> None:
    watchdog.watch(missing.db)
    watchdog.watch(missing.db)
    missing.execute("UPDATE gaps SET next_attempt_at = now() + interval '1 hour'")

    watchdog.watch(missing.db)
    watchdog.watch(missing.db)

    assert told(missing) == [("still", "no_run"), ("moving", None)]


def test_another_cause_is_told_anew(stuck: Scenario) -> None:
    watchdog.watch(stuck.db)
    stuck.execute("UPDATE runs SET rung_at = NULL")

    watchdog.watch(stuck.db)

    assert told(stuck) == [("still", "no_worker"), ("still", "not_dispatched")]


def test_many_watchdogs_tell_it_once(missing: Scenario) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: watchdog.watch(missing.db), range(8)))

    assert told(missing) == [("still", "no_run")]


def test_work_that_is_done_meanwhile_is_a_touch(missing: Scenario) -> None:
    missing.execute("UPDATE runs SET touched_at = now()")

    assert watchdog.watch(missing.db) == []


def test_a_batch_and_a_request_are_touches(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run = scenario.run()

    assert run["touched_at"] is not None


def test_status_and_doctor_name_what_stands_still(cli: Cli, missing: Scenario) -> None:
    [row] = cli.json("status")

    assert row["still_since"] is not None
    assert row["still_because"] == "it is due, and no run goes for it"
    assert "stands still since" in cli.ok("status")
    check = doctor(cli)["progress of mine"]
    assert not check["ok"]
    assert "it is due, and no run goes for it" in check["found"]


def test_status_and_doctor_name_no_connection_that_is_held(cli: Cli, missing: Scenario) -> None:
    hold(missing, timedelta(hours=1))

    [row] = cli.json("status")

    assert (row["still_since"], row["wait_reason"]) == (None, "answered 503 three times")
    assert "stands still" not in cli.ok("status")
    assert doctor(cli)["progress"]["ok"]


def test_a_run_that_gets_nowhere_says_why(cli: Cli, stuck: Scenario) -> None:
    reason = "answered 503 three times"
    stuck.execute(
        "UPDATE runs SET not_before = now() + interval '1 hour', wait_reason = :reason, still_slices = 6 "
        "WHERE ended_at IS NULL",
        reason=reason,
    )
    run_id = stuck.one("SELECT id FROM runs WHERE ended_at IS NULL")["id"]

    for command in (("status",), ("runs",), ("runs", "show", str(run_id))):
        said = " ".join(cli.ok(*command).split())
        assert f": {reason}; no progress in 6 slices" in said
    check = doctor(cli)["progress of mine"]
    assert check["ok"]
    assert reason in check["found"]


def test_a_run_that_gets_nowhere_without_a_reason_is_wrong(cli: Cli, stuck: Scenario) -> None:
    stuck.execute("UPDATE runs SET still_slices = 6, created_at = now() WHERE ended_at IS NULL")

    check = doctor(cli)["progress of mine"]

    assert not check["ok"]
    assert check["found"] == "no progress in 6 slices (no reason is known)"


def doctor(cli: Cli) -> dict[str, Any]:
    """The doctor's checks by their names."""
    return {check["what"]: check for check in json.loads(cli("doctor", "--json").stdout)}


def fails_at_once(scenario: Scenario, reason: Reason) -> None:
    """Three runs that end before they ask for anything, the first of them ten minutes ago."""

    def collect(_start: Start, _context: Context) -> Iterator[Message]:
        yield skip("items", reason, WHOLE_STREAM)

    scenario.install(collect)
    for _ in range(3):
        scenario.run()
    scenario.execute("UPDATE runs SET created_at = now() - interval '10 minutes' WHERE id = 1")


def test_runs_that_fail_before_they_ask_for_anything_are_a_standstill(scenario: Scenario) -> None:
    fails_at_once(scenario, Reason.PARSE_FAILED)

    assert watchdog.watch(scenario.db) == ["mine"]
    assert told(scenario) == [("still", "failing")]


def test_runs_that_fail_since_the_owner_is_needed_are_none(scenario: Scenario) -> None:
    fails_at_once(scenario, Reason.CREDENTIALS_EXPIRED)

    assert watchdog.watch(scenario.db) == []
