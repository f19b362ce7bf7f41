"""No run turns in circles: what was tried is not tried again at once, and what does not fit is given room."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pdpp_worker.connector import Context, DetailGap, DetailGapRecovered, Message, Start
from pdpp_worker.dispatch import dispatch
from pdpp_worker.protocol.messages import Progress
from pdpp_worker.recovery.sweep import sweep_transient
from tests.support.backlog import TARGETED, failing, missing
from tests.support.schedule import is_due, plan
from tests.support.scripted import Scenario, manifest, record, state


class TestBudgetOfAConnectorThatKeepsItsPlaceOnlyAtItsEnd:
    @pytest.fixture
    def slow(self, scenario: Scenario) -> Scenario:
        """A walk of half a second, with a budget of a fifth of one."""
        scenario.settings = scenario.settings.model_copy(update={"run_budget_s": 0.2})
        scenario.manifest = manifest(checkpoint_commit="on_done")

        def collect(start: Start, _: Context) -> Iterator[Message]:
            for number in range(start.cursor("items") or 0, 10):
                time.sleep(0.05)
                yield record(str(number))
                yield state(number + 1)

        scenario.install(collect)
        plan(scenario, in_s=86_400.0)
        return scenario

    def test_its_owner_is_told_what_it_needs_and_it_does_not_begin_anew_at_once(self, slow: Scenario) -> None:
        run = slow.run()

        assert run["status"] == "partially_completed"
        assert "keeps its place only at its end" in run["error"]
        assert run["retry_hint"]["budget_s"] >= 0.4
        assert not is_due(slow)

    def test_the_next_runs_get_more_until_it_comes_to_its_end(self, slow: Scenario) -> None:
        runs = [slow.run() for _ in range(4)]

        assert [run["status"] for run in runs][-1] == "succeeded"
        assert slow.cursors() == {"items": "10"}
        assert len(slow.held()) == 10

    def test_progress_that_counts_nothing_yet_says_nothing(self, slow: Scenario) -> None:
        slow.send(Progress(stream="items", count=0, total=10, message=""), record("a"))

        assert slow.run()["status"] == "succeeded"


@pytest.mark.usefixtures("no_haste")
class TestGapsThatWereAskedFor:
    def test_a_miss_under_another_name_is_asked_for_once_a_run(self, scenario: Scenario) -> None:
        scenario.manifest = manifest(recovery=TARGETED)
        scenario.send(record("a"), *missing("b"), state(1))
        scenario.run()
        scenario.elapse()
        asked: list[str | None] = []

        def renames(start: Start, _: Context) -> Iterator[Message]:
            for gap in start.detail_gaps:
                asked.append(gap.gap_id)
                yield record("b", part=len(asked))
                yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key="b")
                yield DetailGap(stream="items", record_key=f"b {len(asked)}", reason="rate_limited")

        scenario.install(renames)
        sweep_transient(scenario.settings, scenario.db)
        scenario.work()

        assert len(asked) == 1

    def test_what_was_said_of_it_and_changed_nothing_counts_as_an_attempt(self, scenario: Scenario) -> None:
        strict = {"type": "object", "required": ["must"]}
        scenario.manifest = manifest({"name": "items"}, recovery=TARGETED)
        scenario.send(record("a"), *missing("b"), state(1))
        scenario.run()
        scenario.elapse()
        asked: list[str | None] = []

        def refused(start: Start, _: Context) -> Iterator[Message]:
            for gap in start.detail_gaps:
                asked.append(gap.gap_id)
                yield record("b")  # which breaks the schema
                yield record("b", must=1)
                yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key="b")

        scenario.install(refused, manifest({"name": "items", "schema": strict}, recovery=TARGETED))
        sweep_transient(scenario.settings, scenario.db)
        scenario.work()
        sweep_transient(scenario.settings, scenario.db)
        scenario.work()

        assert len(asked) == 1


class TestSchedules:
    def test_what_was_given_up_brings_none_forward(self, scenario: Scenario) -> None:
        scenario.settings = scenario.settings.model_copy(update={"gap_max_attempts": 1})
        plan(scenario, in_s=7 * 86_400.0)
        scenario.send(record("a"), *missing("b"), state(1))

        run = scenario.run()

        assert [gap["status"] for gap in scenario.gaps()] == ["exhausted"]
        assert run["retry_hint"] is None
        assert scenario.one("SELECT next_run_at > now() + interval '6 days' AS later FROM schedules")["later"]

    @pytest.mark.parametrize(("kind", "phase"), [("recovery", "recover"), ("forward", "drain")])
    def test_a_run_that_only_goes_back_and_waits_makes_room_for_a_walk(
        self, backlog: Scenario, kind: str, phase: str
    ) -> None:
        backlog.install(failing)
        plan(backlog)
        run_id = backlog.queue()
        backlog.execute(
            "UPDATE runs SET kind = :kind, phase = :phase, not_before = now() + interval '2 hours', "
            'carried = \'{"cursors": ["items"]}\', slices = 1 WHERE id = :id',
            kind=kind,
            phase=phase,
            id=run_id,
        )

        rung = [bell.run_id for bell in dispatch(backlog.settings, backlog.db)]
        backlog.slice(run_id, stopping=True)
        dispatch(backlog.settings, backlog.db)

        assert rung == [run_id]
        assert backlog.row(run_id)["ended_at"] is not None
        assert backlog.rows("SELECT kind, phase FROM runs WHERE ended_at IS NULL") == [
            {"kind": "forward", "phase": "recover"}
        ]
