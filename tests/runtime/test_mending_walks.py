"""Gaps that cannot be asked for by themselves are closed by walks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from pdpp_worker.connector import WHOLE_STREAM, BatchScope, Message, Reason, skip
from pdpp_worker.recovery.sweep import sweep_transient
from tests.support.backlog import BOTH_FORMS, CHANNEL, TARGETED, healing, missing, statuses, sweep
from tests.support.scripted import Scenario, manifest, record, state

pytestmark = pytest.mark.usefixtures("no_haste")


class TestForms:
    """A connector is asked by the form of scope that its manifest names; for anything else it walks."""

    def miss(self, scenario: Scenario, recovery: dict[str, Any], *misses: Message) -> None:
        scenario.manifest = manifest(recovery=recovery)
        scenario.send(record("a"), *misses)
        scenario.run()
        scenario.elapse()
        scenario.starts.clear()
        scenario.install(healing)

    def test_a_batch_goes_to_a_connector_that_takes_batches(self, scenario: Scenario) -> None:
        self.miss(scenario, BOTH_FORMS, skip("items", Reason.SOURCE_PARTITION_FAILED, CHANNEL))

        [run] = sweep(scenario)

        assert run["kind"] == "recovery"
        assert [gap.scope for gap in scenario.starts[0].detail_gaps] == [CHANNEL]
        assert statuses(scenario) == {"recovered": 1}

    def test_a_connector_that_does_not_take_them_walks(self, scenario: Scenario) -> None:
        self.miss(scenario, TARGETED, skip("items", Reason.SOURCE_PARTITION_FAILED, CHANNEL), *missing("b"))

        [run] = sweep(scenario)

        assert run["kind"] == "forward"
        assert [[len(start.detail_gaps), start.recovery_only] for start in scenario.starts] == [[1, True], [0, False]]
        assert [gap["attempts"] for gap in scenario.gaps()] == [2, 1]
        assert sweep(scenario) == []

    def test_a_whole_stream_is_walked(self, scenario: Scenario) -> None:
        self.miss(scenario, BOTH_FORMS, skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM))
        scenario.send(record("a"))

        [run] = sweep(scenario)

        assert (run["kind"], statuses(scenario)) == ("forward", {"recovered": 1})

    def test_a_retry_hint_names_the_parts_that_failed(self, scenario: Scenario) -> None:
        scenario.send(record("a"), skip("items", Reason.SOURCE_PARTITION_FAILED, CHANNEL))

        run = scenario.run()

        hint = run["retry_hint"]
        assert (hint["exclude"], hint["why"]) == ([{"channel": "C1"}], "source_partition_failed")
        assert datetime.fromisoformat(hint["not_before"]) > run["started_at"]

    @pytest.mark.parametrize("recovery", [TARGETED, {}], ids=["takes items", "takes nothing"])
    def test_what_the_owner_stopped_is_not_walked_for_anew_at_once(
        self, scenario: Scenario, recovery: dict[str, Any]
    ) -> None:
        self.miss(scenario, recovery, skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM), *missing("b"))
        sweep_transient(scenario.settings, scenario.db)
        scenario.execute("UPDATE runs SET cancel_requested = true WHERE status = 'queued'")

        [run] = scenario.work()

        assert (run["kind"], run["status"]) == ("forward", "cancelled")
        assert sweep_transient(scenario.settings, scenario.db) == []


class TestWalks:
    """A walk mends too: what it brings is proof enough, also where a connector cannot be asked for single items."""

    def miss(self, scenario: Scenario, *misses: Message) -> None:
        scenario.send(record("a"), *misses, state(1))
        scenario.run()

    def test_the_whole_record_of_what_was_missing_closes_its_gap(self, scenario: Scenario) -> None:
        self.miss(scenario, *missing("b", "c"))
        scenario.send(record("b"), state(2))

        scenario.run()

        assert [gap["status"] for gap in scenario.gaps()] == ["recovered", "open"]

    def test_a_part_of_it_does_not(self, scenario: Scenario) -> None:
        self.miss(scenario, *missing("b"))
        scenario.send(record("b").model_copy(update={"partial": True}), state(2))

        scenario.run()

        assert [gap["status"] for gap in scenario.gaps()] == ["open"]

    def test_its_deletion_is_the_providers_word_that_there_is_nothing(self, scenario: Scenario) -> None:
        self.miss(scenario, *missing("b"))
        scenario.send(record("b").model_copy(update={"op": "delete"}), state(2))

        scenario.run()

        assert [gap["status"] for gap in scenario.gaps()] == ["absent_upstream"]

    @pytest.mark.parametrize("first", ["the gap", "the record"])
    def test_what_the_run_itself_says_is_missing_stays_so(self, scenario: Scenario, first: str) -> None:
        scenario.settings = scenario.settings.model_copy(update={"batch_records": 1})
        sent: list[Message] = [record("b"), *missing("b")]
        self.miss(scenario, *missing("b"))
        scenario.send(*(sent if first == "the record" else reversed(sent)), state(2))

        scenario.run()

        assert [gap["status"] for gap in scenario.gaps()] == ["open"]

    def test_a_full_walk_closes_the_gaps_of_parts_that_it_has_passed(self, scenario: Scenario) -> None:
        self.miss(scenario, skip("items", Reason.SOURCE_PARTITION_FAILED, CHANNEL))
        scenario.send(record("a"), state(2))

        scenario.run()
        assert [gap["status"] for gap in scenario.gaps()] == ["open"]
        run = scenario.run(full=True)

        assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]
        happened = "SELECT data FROM events WHERE type = 'gaps_closed' AND stream = 'items' AND run_id = :id"
        assert scenario.one(happened, id=run["id"])["data"] == {"count": 1}

    @pytest.mark.parametrize("scope", [CHANNEL, WHOLE_STREAM], ids=["a part", "the whole"])
    def test_a_full_walk_that_finds_nothing_closes_nothing(self, scenario: Scenario, scope: BatchScope) -> None:
        self.miss(scenario, skip("items", Reason.SOURCE_PARTITION_FAILED, scope))
        scenario.send()

        scenario.run(full=True)

        assert [gap["status"] for gap in scenario.gaps()] == ["open"]
