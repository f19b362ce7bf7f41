"""A recovery run asks for what is missing, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pdpp_worker.connector import AuthExpired, Context, DetailGap, DetailGapRecovered, Message, ResourceScope, Start
from pdpp_worker.recovery.sweep import recover, sweep_transient
from pdpp_worker.store.gaps.by_owner import waive
from pdpp_worker.store.gaps.selection import GapFilter
from tests.support.backlog import TARGETED, failing, healing, missing, statuses, sweep
from tests.support.scripted import Scenario, manifest, record, state

pytestmark = pytest.mark.usefixtures("no_haste")


class TestRecoveryRun:
    """A run that a sweep starts for gaps asks for exactly these."""

    def test_it_asks_for_nothing_else_and_leaves_the_cursors(self, backlog: Scenario) -> None:
        backlog.install(healing)

        [run] = sweep(backlog)

        assert (run["kind"], run["status"]) == ("recovery", "succeeded")
        assert [start.recovery_only for start in backlog.starts] == [True]
        assert (statuses(backlog), backlog.cursors()) == ({"recovered": 10}, {"items": "1"})

    def test_a_cursor_that_it_sends_is_refused(self, backlog: Scenario) -> None:
        backlog.recover_with(state(2))

        [run] = sweep(backlog)

        assert "never moves a cursor" in run["error"]
        assert backlog.cursors() == {"items": "1"}

    def test_it_leaves_the_evidence_of_walks_alone(self, backlog: Scenario) -> None:
        before = backlog.rows("SELECT * FROM coverage")
        backlog.install(healing)

        sweep(backlog)

        walked = "last_walk_run_id", "last_walk_at", "intervals"
        now = backlog.rows("SELECT * FROM coverage")
        assert [[str(row[name]) for name in walked] for row in now] == [
            [str(row[name]) for name in walked] for row in before
        ]

    def test_part_of_it_is_credited(self, backlog: Scenario) -> None:
        def half(start: Start, context: Context) -> Iterator[Message]:
            for number, gap in enumerate(start.detail_gaps):
                one = start.model_copy(update={"detail_gaps": [gap]})
                yield from (healing if number % 2 else failing)(one, context)

        backlog.install(half)

        [run] = sweep(backlog)

        assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"rate_limited": 5})
        assert statuses(backlog) == {"recovered": 5, "open": 5}

    def test_it_says_what_became_of_the_gaps(self, backlog: Scenario) -> None:
        def gone(start: Start, context: Context) -> Iterator[Message]:
            first, *rest = start.detail_gaps
            yield DetailGapRecovered(gap_id=first.gap_id, stream="items", record_key="m0", absent=True)
            yield from failing(start.model_copy(update={"detail_gaps": rest}), context)

        backlog.install(gone)

        [run] = sweep(backlog)

        assert (run["status"], run["spent_items"], run["gaps_closed"]) == ("partially_completed", 10, 1)

    def test_two_sweeps_start_one_run(self, backlog: Scenario) -> None:
        first = sweep_transient(backlog.settings, backlog.db)

        assert len(first) == 1
        assert sweep_transient(backlog.settings, backlog.db) == []

    def test_a_connector_is_not_asked_for_nothing(self, backlog: Scenario) -> None:
        backlog.install(healing)
        sweep_transient(backlog.settings, backlog.db)
        with backlog.db.begin() as connection:
            waive(connection, [backlog.connection_id], GapFilter())

        [run] = backlog.work()

        assert (run["status"], backlog.starts) == ("succeeded", [])

    def test_its_cost_is_stated_before_it_starts(self, backlog: Scenario) -> None:
        [ring] = sweep_transient(backlog.settings, backlog.db)

        queued = backlog.one(
            "SELECT data FROM events WHERE run_id = :run_id AND type = 'run_queued'", run_id=ring.run_id
        )
        ceiling = backlog.manifest.pacing.min_interval_ms
        expected = {"items": 10, "interval_ms": ceiling, "seconds": 10 * ceiling / 1000, "learned": False}
        assert queued["data"]["cost"] == expected

    def test_what_it_was_handed_and_said_nothing_of_counts_as_tried(self, backlog: Scenario) -> None:
        backlog.recover_with()

        [run] = sweep(backlog)

        assert run["status"] == "failed"
        assert {gap["attempts"] for gap in backlog.gaps()} == {2}
        assert sweep(backlog) == []

    def test_a_sign_in_that_fails_costs_the_gaps_no_attempt(self, backlog: Scenario) -> None:
        def signed_out(_start: Start, _context: Context) -> Iterator[Message]:
            raise AuthExpired("no longer signed in")
            yield

        backlog.install(signed_out)

        [run] = sweep(backlog)

        assert (run["status"], run["skipped_by_reason"]) == ("failed", {"credentials_expired": 10})
        assert {(gap["attempts"], gap["next_attempt_at"]) for gap in backlog.gaps()} == {(1, None)}
        assert sweep_transient(backlog.settings, backlog.db) == []

    def test_a_tombstone_is_no_proof(self, backlog: Scenario) -> None:
        gone = record("m0").model_copy(update={"op": "delete"})
        backlog.recover_with(gone, DetailGapRecovered(gap_id="1", stream="items", record_key="m0"))

        [run] = sweep(backlog)

        assert "not proved" in run["error"]
        assert statuses(backlog) == {"open": 10}

    def test_a_stream_that_left_the_manifest_is_not_asked_for_in_circles(self, scenario: Scenario) -> None:
        scenario.manifest = manifest("items", "former", recovery=TARGETED)
        scenario.send(record("a"), DetailGap(stream="former", record_key="m", reason="timed_out"))
        scenario.run()
        scenario.elapse()
        scenario.install(healing, manifest("items", version="2.0.0", recovery=TARGETED))

        scenario.run()

        assert scenario.gaps()[0]["attempts"] == 1
        assert sweep_transient(scenario.settings, scenario.db) == []

    def test_what_the_owner_waives_meanwhile_is_not_closed_by_the_run(self, scenario: Scenario) -> None:
        scenario.settings = scenario.settings.model_copy(
            update={"slice_messages": 1, "batch_records": 1, "batch_s": 1e-6}
        )

        def walk(start: Start, _: Context) -> Iterator[Message]:
            if start.cursor("items") is None:
                yield from missing("m0")
                yield state(1)
                yield state(2)

        scenario.install(walk)
        run_id = scenario.queue()
        scenario.slice(run_id)
        with scenario.db.begin() as connection:
            waive(connection, [scenario.connection_id], GapFilter())

        assert scenario.finish(run_id)["gaps_closed"] == 0

    def test_after_the_last_attempt_it_is_given_up_and_still_missing(self, backlog: Scenario) -> None:
        backlog.settings = backlog.settings.model_copy(update={"gap_max_attempts": 2})
        backlog.install(failing)

        sweep(backlog)
        backlog.elapse()

        assert statuses(backlog) == {"exhausted": 10}
        assert sweep(backlog) == []

    def test_one_item_on_which_the_connector_fails_costs_only_itself(self, backlog: Scenario) -> None:
        def collect(start: Start, context: Context) -> Iterator[Message]:
            for gap in start.detail_gaps:
                if gap.scope == ResourceScope(resource_id="m4"):
                    raise ValueError("unforeseen")
                yield from healing(start.model_copy(update={"detail_gaps": [gap]}), context)

        backlog.install(collect)

        [run] = sweep(backlog)

        assert (run["status"], run["error"]) == ("partially_completed", "ValueError in the connector")
        assert (run["spent_items"], run["gaps_closed"]) == (10, 9)
        assert statuses(backlog) == {"recovered": 9, "open": 1}
        assert {gap["attempts"] for gap in backlog.gaps()} == {1, 2}

    def test_a_recovery_that_the_owner_stopped_is_not_begun_anew_at_once(self, backlog: Scenario) -> None:
        backlog.install(healing)
        sweep_transient(backlog.settings, backlog.db)
        backlog.execute("UPDATE runs SET cancel_requested = true WHERE status = 'queued'")

        [run] = backlog.work()

        assert (run["status"], statuses(backlog)) == ("cancelled", {"open": 10})
        assert sweep_transient(backlog.settings, backlog.db) == []


def test_a_record_that_is_refused_again_is_not_mended_by_another(scenario: Scenario) -> None:
    strict = {"name": "items", "schema": {"properties": {"size": {"type": "integer"}}}}
    scenario.manifest = manifest(strict, recovery=TARGETED)
    scenario.send(record("a"), record("b", size="large"))
    scenario.run()
    scenario.execute("UPDATE gaps SET next_attempt_at = now()")
    mended = DetailGapRecovered(gap_id=str(scenario.gaps()[0]["id"]), stream="items", record_key="a")
    scenario.recover_with(record("a"), record("b", size="large"), mended)

    sweep(scenario)

    assert [gap["status"] for gap in scenario.gaps()] == ["open"]


class TestAsking:
    """Somebody may ask for a part."""

    def test_only_what_was_asked_for_is_tried(self, backlog: Scenario) -> None:
        backlog.install(healing)
        wanted = [gap["id"] for gap in backlog.gaps()][:2]

        recover(backlog.settings, backlog.db, [backlog.connection_id], GapFilter(ids=wanted))
        [run] = backlog.work()

        assert [gap.gap_id for gap in backlog.starts[0].detail_gaps] == [str(gap_id) for gap_id in wanted]
        assert (run["status"], statuses(backlog)) == ("succeeded", {"recovered": 2, "open": 8})

    def test_nothing_to_ask_for_starts_nothing(self, backlog: Scenario) -> None:
        assert recover(backlog.settings, backlog.db, [backlog.connection_id], GapFilter(stream="others")) == []


class TestPressure:
    """A pause that the provider wants holds back what it refused, and is waited for."""

    def test_the_run_goes_on_when_the_pause_is_over(self, backlog: Scenario) -> None:
        later = datetime.now(UTC) + timedelta(hours=1)

        def collect(start: Start, context: Context) -> Iterator[Message]:
            first, *rest = start.detail_gaps
            yield DetailGap(
                stream="items",
                record_key=first.scope.resource_id,  # type: ignore[union-attr]
                reason="rate_limited",
                gap_id=first.gap_id,
                retry_after=later,
            )
            yield from healing(start.model_copy(update={"detail_gaps": rest[:3]}), context)

        backlog.install(collect)
        [ring] = sweep_transient(backlog.settings, backlog.db)

        result = backlog.slice(ring.run_id)

        assert result is not None
        row = backlog.row(ring.run_id)
        assert (result.status, row["status"]) == (None, "running")
        assert row["not_before"] == pytest.approx(later, abs=timedelta(seconds=1))

    def test_a_walk_that_is_due_before_is_not_kept_waiting(self, backlog: Scenario) -> None:
        later = datetime.now(UTC) + timedelta(hours=1)
        backlog.recover_with(
            DetailGap(stream="items", record_key="m0", reason="rate_limited", gap_id="1", retry_after=later)
        )
        backlog.execute(
            "INSERT INTO schedules (connection_id, every_s, next_run_at) "
            "SELECT id, 3600, now() + interval '30 minutes' FROM connections"
        )

        [run] = sweep(backlog)

        assert (run["status"], run["slices"]) == ("failed", 1)
        assert statuses(backlog) == {"open": 10}
        assert {gap["attempts"] for gap in backlog.gaps() if gap["id"] != 1} == {1}

    def test_other_gaps_are_tried_meanwhile(self, scenario: Scenario) -> None:
        later = datetime.now(UTC) + timedelta(hours=1)
        scenario.manifest = manifest(recovery=TARGETED)
        pause = DetailGap(stream="items", record_key="p", reason="rate_limited", retry_after=later)
        scenario.send(record("a"), pause, *missing("slow", reason="timed_out"), *missing("refused"))
        scenario.run()
        scenario.elapse()
        scenario.install(healing)

        sweep(scenario)

        assert {gap["scope"]["resource_id"]: gap["status"] for gap in scenario.gaps()} == {
            "p": "open",
            "slow": "recovered",
            "refused": "open",
        }
