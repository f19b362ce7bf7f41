"""A run that its owner stops lets only those gaps rest that it was asking for."""

from __future__ import annotations

from pdpp_worker.recovery.sweep import recover
from pdpp_worker.store import runs
from pdpp_worker.store.gaps.selection import GapFilter
from tests.support.backlog import TARGETED, missing
from tests.support.scripted import Scenario, manifest, record, state


def stop(scenario: Scenario, run_id: int) -> None:
    """The owner cancels the run before its next slice."""
    with scenario.db.begin() as connection:
        runs.request_cancel(connection, scenario.connection_id)
    result = scenario.slice(run_id)
    assert result is not None
    assert result.status == "cancelled"


def due(scenario: Scenario) -> dict[str, int]:
    """The due gaps of each reason."""
    query = "SELECT reason, count(*) FROM gaps WHERE next_attempt_at <= now() GROUP BY reason ORDER BY reason"
    return {row["reason"]: row["count"] for row in scenario.rows(query)}


def with_gaps(scenario: Scenario) -> None:
    """Two gaps of each of two reasons are due, and one is not."""
    scenario.manifest = manifest(recovery=TARGETED)
    of_time = missing("t1", "t2", reason="timed_out")
    scenario.send(record("a"), *missing("r1", "r2", reason="upstream_error"), *of_time, state(1))
    scenario.run()
    scenario.elapse()


def test_a_walk_that_is_stopped_lets_no_gap_rest(scenario: Scenario) -> None:
    with_gaps(scenario)
    run_id = scenario.queue()
    scenario.execute("UPDATE runs SET phase = 'walk' WHERE id = :run_id", run_id=run_id)

    stop(scenario, run_id)

    assert due(scenario) == {"timed_out": 2, "upstream_error": 2}


def test_a_recovery_that_is_stopped_lets_the_gaps_rest_that_it_was_for(scenario: Scenario) -> None:
    with_gaps(scenario)
    chosen = GapFilter(reason="timed_out")
    [run] = recover(scenario.settings, scenario.db, [scenario.connection_id], chosen)

    stop(scenario, run.run_id)

    assert due(scenario) == {"upstream_error": 2}
