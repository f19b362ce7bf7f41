"""Gaps that an owner changes: a part of them retried, waived, opened again."""

from __future__ import annotations

import pytest

from pdpp_worker import registry
from pdpp_worker.connector import DetailGap, DetailGapRecovered, Message
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest, record


@pytest.fixture
def missing(scenario: Scenario) -> Scenario:
    """Three refused items, and one that timed out."""
    scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
    misses: list[Message] = [DetailGap(stream="items", record_key=key, reason="rate_limited") for key in "bcd"]
    scenario.send(record("a"), *misses, DetailGap(stream="items", record_key="e", reason="timed_out"))
    scenario.run()
    return scenario


def statuses(scenario: Scenario) -> list[str]:
    return [gap["status"] for gap in scenario.gaps()]


def test_waiving_by_reason_leaves_the_others_open(cli: Cli, missing: Scenario) -> None:
    assert "Gaps of mine that are waived: 3." in cli.ok("gaps", "waive", "mine", "--reason", "rate_limited")

    assert statuses(missing) == ["waived", "waived", "waived", "open"]
    assert [gap["scope"] for gap in cli.json_lines("gaps", "mine")] == [{"resource_id": "e"}]


def test_reopening_by_number_makes_one_due_again(cli: Cli, missing: Scenario) -> None:
    cli.ok("gaps", "waive", "mine", "--all")
    gap_id = missing.gaps()[1]["id"]

    assert "Gaps of mine that are open again: 1." in cli.ok("gaps", "reopen", "mine", "--gap", str(gap_id))

    assert statuses(missing) == ["waived", "open", "waived", "waived"]


@pytest.mark.parametrize("what", ["waive", "reopen"])
def test_all_of_them_are_changed_only_when_that_is_said(cli: Cli, missing: Scenario, what: str) -> None:
    assert "or --all for all of them" in cli.refusal("gaps", what, "mine")
    assert "known: rate_limited" in cli.refusal("gaps", what, "mine", "--reason", "bad_luck")


def test_recovery_of_a_part_is_asked_for_with_its_cost_and_budget(cli: Cli, missing: Scenario) -> None:
    said = cli.ok("recover", "mine", "--reason", "rate_limited", "--items", "2")

    assert "mine: 2 pending, about 2 s" in said
    run = missing.one("SELECT * FROM runs WHERE kind = 'recovery'")
    assert (run["selection"], run["budget"]) == ({"reason": "rate_limited"}, {"items": 2})


def test_recovery_of_single_gaps_is_asked_for_by_number(cli: Cli, missing: Scenario) -> None:
    gap_id = missing.gaps()[3]["id"]

    cli.ok("recover", "mine", "--gap", str(gap_id), "--seconds", "30", "--requests", "5")

    run = missing.one("SELECT * FROM runs WHERE kind = 'recovery'")
    assert (run["selection"], run["budget"]) == ({"ids": [gap_id]}, {"seconds": 30, "requests": 5})


def test_what_is_looked_at_once_more_after_a_day_is_looked_at_now(cli: Cli, scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="parse_failed"))
    scenario.run()

    assert "mine: 1 pending" in cli.ok("recover", "mine")


def test_a_run_that_went_back_says_how_many_it_fixed(cli: Cli, missing: Scenario) -> None:
    gap = missing.gaps()[0]
    recovered = DetailGapRecovered(gap_id=str(gap["id"]), stream="items", record_key="b")
    missing.recover_with(record("b"), recovered)
    cli.ok("recover", "mine")
    [run] = missing.work()

    assert "1.0.0 fixed 1 of 1, 0 still fail" in cli.ok("runs", "show", str(run["id"]))


class TestNothingToGoBackFor:
    """`recover` says why nobody retries now."""

    def test_nothing_is_missing(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"))
        scenario.run()

        assert "Nothing is known to be missing of mine." in cli.ok("recover", "mine")

    @pytest.mark.usefixtures("missing")
    def test_nothing_that_was_asked_for(self, cli: Cli) -> None:
        assert "Nothing that you asked for is known to be missing" in cli.ok("recover", "mine", "--stream", "others")

    @pytest.mark.usefixtures("missing")
    def test_all_of_it_was_waived(self, cli: Cli) -> None:
        cli.ok("gaps", "waive", "mine", "--all")

        said = cli.ok("recover", "mine")

        assert "but for 4 that you waived" in said
        assert "pdpp-worker gaps reopen mine" in said

    def test_it_waits_for_another_version(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="template_unknown"))
        scenario.run()

        assert "(1) waits for another version of the connector scripted" in cli.ok("recover", "mine")

    def test_a_run_is_active(self, cli: Cli, missing: Scenario) -> None:
        run_id = missing.queue()

        assert f"Run {run_id} of mine is active" in cli.ok("recover", "mine")

    def test_the_provider_wants_a_pause(self, cli: Cli, missing: Scenario) -> None:
        missing.execute("UPDATE connections SET cooldown_until = now() + interval '2 hours'")

        assert "The provider of mine wants a pause until" in cli.ok("recover", "mine", "--reason", "rate_limited")

    @pytest.mark.usefixtures("missing")
    def test_the_connector_is_gone(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "all_connectors", dict)

        assert "the connector scripted is not installed" in cli.ok("recover", "mine")

    def test_the_installed_version_has_no_such_stream(self, cli: Cli, missing: Scenario) -> None:
        missing.execute("UPDATE gaps SET stream = 'retired'")

        assert "the connector scripted does not know its streams" in cli.ok("recover", "mine")
