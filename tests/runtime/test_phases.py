"""A run goes back for what is missing within a share of its budget, then walks, then goes back with what is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pdpp_worker.connector import WHOLE_STREAM, Budget, Context, Message, Reason, Start, skip
from pdpp_worker.recovery.sweep import recover
from tests.support.backlog import failing, healing, statuses, sweep
from tests.support.scripted import Scenario, record, state

pytestmark = pytest.mark.usefixtures("no_haste")


class TestPhases:
    """A forward run recovers, walks, and recovers again."""

    def test_known_gaps_come_first_and_then_the_walk(self, backlog: Scenario) -> None:
        backlog.install(healing)

        run = backlog.run()

        assert [start.recovery_only for start in backlog.starts] == [True, False]
        assert (run["status"], statuses(backlog)) == ("succeeded", {"recovered": 10})

    def test_a_failure_on_the_way_back_does_not_keep_it_from_walking(self, backlog: Scenario) -> None:
        def collect(start: Start, _: Context) -> Iterator[Message]:
            if start.recovery_only:
                raise ValueError("unforeseen")
            yield record("new")
            yield state(2)

        backlog.install(collect)

        run = backlog.run()

        assert (run["status"], run["error"]) == ("partially_completed", "ValueError in the connector")
        assert (backlog.cursors(), sorted(backlog.held())) == ({"items": "2"}, ["a", "new"])

    def test_refusals_on_the_way_back_do_not_end_it(self, backlog: Scenario) -> None:
        def collect(start: Start, context: Context) -> Iterator[Message]:
            yield from failing(start, context)
            if not start.recovery_only:
                yield state(2)

        backlog.install(collect)

        run = backlog.run()

        assert (run["status"], backlog.cursors()) == ("partially_completed", {"items": "2"})

    def test_gaps_get_a_share_of_the_budget_then_the_walk_then_what_is_left(self, backlog: Scenario) -> None:
        backlog.settings = backlog.settings.model_copy(update={"recovery_share": 0.4})
        backlog.install(healing)
        run_id = backlog.queue()
        backlog.execute("UPDATE runs SET budget = '{\"items\": 8}'")

        run = backlog.finish(run_id)

        assert [(len(start.detail_gaps), start.recovery_only) for start in backlog.starts] == [
            (3, True),
            (0, False),
            (5, True),
        ]
        assert statuses(backlog) == {"recovered": 8, "open": 2}
        assert (run["status"], run["spent_items"]) == ("succeeded", 8)

    def test_how_the_walk_ended_is_not_forgotten_by_what_follows_it(self, backlog: Scenario) -> None:
        backlog.settings = backlog.settings.model_copy(update={"recovery_share": 0.1})

        def collect(start: Start, context: Context) -> Iterator[Message]:
            yield from healing(start, context)
            if not start.recovery_only:
                yield skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM)

        backlog.install(collect)
        run_id = backlog.queue()
        backlog.execute("UPDATE runs SET budget = '{\"items\": 10}'")

        run = backlog.finish(run_id)

        assert [start.recovery_only for start in backlog.starts] == [True, False, True]
        assert (run["status"], run["unfinished_streams"]) == ("partially_completed", 1)


class TestBudgets:
    """Gaps that do not fit are put off, without counting an attempt, and the run says so."""

    def test_items(self, backlog: Scenario) -> None:
        backlog.install(healing)

        recover(backlog.settings, backlog.db, [backlog.connection_id], budget=Budget(items=4))
        [run] = backlog.work()

        assert statuses(backlog) == {"recovered": 4, "open": 6}
        assert (run["status"], run["unreached"], run["spent_items"]) == ("partially_completed", 6, 4)
        assert run["retry_hint"]["why"] == "run_budget_deferred"
        assert {gap["attempts"] for gap in backlog.gaps()} == {1}

    def test_what_does_not_fit_keeps_its_place(self, backlog: Scenario) -> None:
        backlog.execute("UPDATE gaps SET next_attempt_at = next_attempt_at - id * interval '1 hour'")
        before = {gap["id"]: gap["next_attempt_at"] for gap in backlog.gaps()}
        backlog.install(healing)

        recover(backlog.settings, backlog.db, [backlog.connection_id], budget=Budget(items=4))
        backlog.work()

        left = {gap["id"]: gap["next_attempt_at"] for gap in backlog.gaps() if gap["status"] == "open"}
        assert left == {number: before[number] for number in sorted(before)[:6]}

    def test_seconds(self, backlog: Scenario) -> None:
        backlog.install(healing)
        recover(backlog.settings, backlog.db, [backlog.connection_id], budget=Budget(seconds=1))
        backlog.execute("UPDATE runs SET spent_s = 1")

        [run] = backlog.work()

        assert (run["status"], run["unreached"], backlog.starts) == ("failed", 10, [])
        assert statuses(backlog) == {"open": 10}

    def test_a_walk_that_outlasts_it_is_gone_on_with_by_the_next_run(self, scenario: Scenario) -> None:
        scenario.settings = scenario.settings.model_copy(update={"slice_messages": 2, "batch_records": 1})

        def collect(start: Start, _: Context) -> Iterator[Message]:
            for number in range((start.cursor("items") or 0) + 1, 4):
                yield record(f"r{number}")
                yield state(number)

        scenario.install(collect)
        run_id = scenario.queue()
        scenario.slice(run_id)
        scenario.execute("UPDATE runs SET spent_s = :budget", budget=scenario.settings.run_budget_s)

        first, second = scenario.finish(run_id), scenario.run()

        assert (first["status"], first["retry_hint"]["why"]) == ("partially_completed", "run_budget_deferred")
        assert (second["status"], len(scenario.held())) == ("succeeded", 3)

    def test_a_later_run_gets_what_was_put_off(self, backlog: Scenario) -> None:
        backlog.install(healing)
        recover(backlog.settings, backlog.db, [backlog.connection_id], budget=Budget(items=4))
        backlog.work()
        backlog.elapse()

        sweep(backlog)

        assert statuses(backlog) == {"recovered": 10}
