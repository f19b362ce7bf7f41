"""A gap closes by proof, and whoever says nothing of it has tried it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from pdpp_worker.connector import (
    Context,
    DetailGap,
    DetailGapRecovered,
    Message,
    Start,
)
from tests.support.scripted import Scenario, manifest, record, state


def make_due(scenario: Scenario) -> None:
    with scenario.db.begin() as connection:
        connection.execute(text("UPDATE gaps SET next_attempt_at = now()"))


class TestRecovery:
    """A gap is closed by proof and nothing else."""

    def miss(self, scenario: Scenario) -> str:
        scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
        scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="rate_limited"))
        scenario.run()
        with scenario.db.begin() as connection:
            connection.execute(text("UPDATE gaps SET next_attempt_at = now()"))
        return str(scenario.gaps()[0]["id"])

    def test_the_record_it_names_closes_it(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        scenario.recover_with(record("b"), DetailGapRecovered(gap_id=gap_id, stream="items", record_key="b"))

        run = scenario.run()

        assert [[gap.gap_id for gap in start.detail_gaps] for start in scenario.starts[-2:]] == [[gap_id], []]
        assert (run["status"], scenario.gaps()[0]["status"]) == ("succeeded", "recovered")

    def test_a_claim_without_the_record_is_a_violation(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        scenario.recover_with(record("c"), DetailGapRecovered(gap_id=gap_id, stream="items", record_key="b"))

        run = scenario.run()

        assert "not proved" in run["error"]
        assert (run["status"], scenario.gaps()[0]["status"]) == ("partially_completed", "open")

    def test_the_provider_can_affirm_that_there_is_nothing(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        scenario.recover_with(DetailGapRecovered(gap_id=gap_id, stream="items", record_key="b", absent=True))

        scenario.run()

        assert scenario.gaps()[0]["status"] == "absent_upstream"

    def test_the_same_miss_again_is_the_same_gap_with_one_more_attempt(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        gap = DetailGap(stream="items", record_key="b", reason="rate_limited", gap_id=gap_id)
        scenario.recover_with(gap)

        scenario.run()

        assert [(one["attempts"], one["status"]) for one in scenario.gaps()] == [(2, "open")]


@pytest.mark.usefixtures("no_haste")
def test_a_gap_that_the_connector_says_nothing_about_does_not_stay_due(scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="rate_limited"))
    scenario.run()
    make_due(scenario)

    scenario.send(record("a"))
    run = scenario.run()

    [gap] = scenario.gaps()
    assert (gap["attempts"], gap["status"], run["status"]) == (2, "open", "partially_completed")
    assert gap["next_attempt_at"] > datetime.now(UTC)


@pytest.mark.usefixtures("no_haste")
def test_a_walk_is_an_attempt_at_every_gap_of_a_connector_that_takes_none(scenario: Scenario) -> None:
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="rate_limited"))
    scenario.run()
    make_due(scenario)

    scenario.send(record("a"))
    scenario.run()

    [gap] = scenario.gaps()
    assert gap["attempts"] == 2
    assert gap["next_attempt_at"] > datetime.now(UTC)


def test_a_run_leaves_the_gaps_that_it_met_itself_to_the_next(scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 2, "batch_records": 1})

    def walk(start: Start, _: Context) -> Iterator[Message]:
        assert start.detail_gaps == []
        make_due(scenario)
        for number in range(start.cursor("items") or 0, 4):
            yield record(f"n{number}")
            yield DetailGap(stream="items", record_key=f"g{number}", reason="upstream_error")
            yield state(number + 1)

    scenario.install(walk)

    run = scenario.run()

    assert run["error"] is None
    assert run["slices"] > 1
    assert set(scenario.held()) == {"n0", "n1", "n2", "n3"}
