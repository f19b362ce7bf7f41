"""Runs are found by connection, status, reason and time."""

from __future__ import annotations

import pytest

from pdpp_worker.connector import Reason, ResourceScope, skip
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, record, state


@pytest.fixture
def runs(scenario: Scenario) -> list[int]:
    """A run that misses something, queued ten days ago; one that succeeds, of today; one that waits."""
    scenario.send(record("a"), skip("items", Reason.RATE_LIMITED, ResourceScope(resource_id="b")), state(1))
    first = scenario.run()["id"]
    scenario.execute("UPDATE runs SET created_at = created_at - interval '10 days'")
    scenario.send(record("b"), state(2))
    return [first, scenario.run()["id"], scenario.queue()]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), [2, 1, 0]),
        (("mine",), [2, 1, 0]),
        (("--status", "succeeded"), [1]),
        (("--reason", "rate_limited"), [0]),
        (("--since", "7d"), [2, 1]),
        (("--until", "7d"), [0]),
        (("mine", "--since", "2020-01-31", "--status", "partially_completed"), [0]),
    ],
)
def test_runs_are_filtered(cli: Cli, runs: list[int], options: tuple[str, ...], found: list[int]) -> None:
    assert [one["id"] for one in cli.json("runs", *options)] == [runs[place] for place in found]


def test_a_run_that_waits_for_a_worker_has_not_started(cli: Cli, runs: list[int]) -> None:
    _, waits, succeeded, _ = cli.ok("runs").splitlines()

    assert "\tnot yet\t" in waits
    assert "not yet" not in succeeded


def test_where_the_filter_leaves_none_it_is_said(cli: Cli, runs: list[int]) -> None:
    assert cli.ok("runs", "--status", "failed") == "There is no such run.\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--status", "done"), "known: queued, running, succeeded"),
        (("--reason", "because"), "known: "),
        (("--since", "soon"), "write it as 2026-01-31, 1h or 7d"),
    ],
)
def test_a_filter_that_is_none_is_refused_with_those_that_there_are(
    cli: Cli, scenario: Scenario, options: tuple[str, ...], said: str
) -> None:
    assert said in cli.refusal("runs", *options)
