"""A run goes back for what is missing within a share of its budget, then walks, then goes back with what is left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    BatchScope,
    Budget,
    Context,
    DetailGap,
    DetailGapRecovered,
    Message,
    Reason,
    ResourceScope,
    Start,
    State,
    TimeRange,
    skip,
)
from pdpp_worker.recovery.sweep import recover, sweep_transient
from pdpp_worker.store.backlog import Selection, waive
from tests.support.scripted import Scenario, manifest, record, state

TARGETED = {"supports_targeted_resource_fetch": True}
BOTH_FORMS = {**TARGETED, "scopes": ["resource", "batch"]}
CHANNEL = BatchScope(partition={"channel": "C1"})


def missing(*keys: str, reason: str = "rate_limited") -> list[Message]:
    """Misses of single items."""
    return [DetailGap(stream="items", record_key=key, reason=reason) for key in keys]


def healing(start: Start, _: Context) -> Iterator[Message]:
    """A connector that gets everything that it is asked for, and finds nothing new when it walks."""
    for gap in start.detail_gaps:
        key = gap.scope.resource_id if isinstance(gap.scope, ResourceScope) else "batch"
        yield record(key)
        yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=key)


def failing(start: Start, _: Context) -> Iterator[Message]:
    """A connector to which everything is refused."""
    for gap in start.detail_gaps:
        assert isinstance(gap.scope, ResourceScope)
        yield DetailGap(stream="items", record_key=gap.scope.resource_id, reason="rate_limited", gap_id=gap.gap_id)


@pytest.fixture(autouse=True)
def no_haste(scenario: Scenario) -> None:
    """What is tried again later is not due again while a test looks, however slow the machine."""
    scenario.settings = scenario.settings.model_copy(update={"gap_backoff_s": 600.0})


@pytest.fixture
def backlog(scenario: Scenario) -> Scenario:
    """Ten items are missing and due."""
    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(record("a"), *missing(*(f"m{n}" for n in range(10))), state(1))
    scenario.run()
    scenario.elapse()
    scenario.starts.clear()
    return scenario


def sweep(scenario: Scenario) -> list[dict[str, Any]]:
    """A transient sweep, and the runs that it starts."""
    sweep_transient(scenario.settings, scenario.db)
    return scenario.work()


def statuses(scenario: Scenario) -> dict[str, int]:
    """How many gaps have which status."""
    rows = scenario.rows("SELECT status, count(*) FROM gaps GROUP BY status")
    return {row["status"]: row["count"] for row in rows}


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
            waive(connection, [backlog.connection_id], Selection())

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

    @pytest.mark.parametrize("walks", [True, False])
    def test_a_stream_that_left_the_manifest_is_not_asked_for_in_circles(self, scenario: Scenario, walks: bool) -> None:
        scenario.manifest = manifest("items", "former", recovery=TARGETED)
        scenario.send(record("a"), DetailGap(stream="former", record_key="m", reason="timed_out"))
        scenario.run()
        scenario.elapse()
        scenario.install(healing, manifest("items", version="2.0.0", recovery=TARGETED))

        if walks:
            scenario.run()
        else:
            sweep(scenario)

        assert scenario.gaps()[0]["attempts"] == 2
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
            waive(connection, [scenario.connection_id], Selection())

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

        [run] = sweep(scenario)

        assert (run["kind"], statuses(scenario)) == ("forward", {"recovered": 1})

    def test_a_retry_hint_names_the_parts_that_failed(self, scenario: Scenario) -> None:
        scenario.send(record("a"), skip("items", Reason.SOURCE_PARTITION_FAILED, CHANNEL))

        run = scenario.run()

        hint = run["retry_hint"]
        assert (hint["exclude"], hint["why"]) == ([{"channel": "C1"}], "source_partition_failed")
        assert datetime.fromisoformat(hint["not_before"]) > run["started_at"]


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
        scenario.run(full=True)

        assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]

    def test_a_full_walk_that_finds_nothing_closes_nothing(self, scenario: Scenario) -> None:
        self.miss(scenario, skip("items", Reason.SOURCE_PARTITION_FAILED, CHANNEL))
        scenario.send()

        scenario.run(full=True)

        assert [gap["status"] for gap in scenario.gaps()] == ["open"]


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
    """What does not fit is put off, without counting an attempt, and the run says so."""

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


class TestAsking:
    """Somebody may ask for a part."""

    def test_only_what_was_asked_for_is_tried(self, backlog: Scenario) -> None:
        backlog.install(healing)
        wanted = [gap["id"] for gap in backlog.gaps()][:2]

        recover(backlog.settings, backlog.db, [backlog.connection_id], Selection(ids=wanted))
        [run] = backlog.work()

        assert [gap.gap_id for gap in backlog.starts[0].detail_gaps] == [str(gap_id) for gap_id in wanted]
        assert (run["status"], statuses(backlog)) == ("succeeded", {"recovered": 2, "open": 8})

    def test_nothing_to_ask_for_starts_nothing(self, backlog: Scenario) -> None:
        assert recover(backlog.settings, backlog.db, [backlog.connection_id], Selection(stream="others")) == []


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
        assert (result.status, result.resume_at) == (None, later)
        assert backlog.row(ring.run_id)["status"] == "running"

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


class TestCoverage:
    """What was walked is known, in periods that merge."""

    def intervals(self, scenario: Scenario) -> list[tuple[Any, Any]]:
        rows = scenario.rows(
            "SELECT lower(one) AS since, upper(one) AS until FROM coverage, unnest(intervals) AS one ORDER BY 1"
        )
        return [(row["since"], row["until"]) for row in rows]

    def test_a_first_walk_covers_all_that_was_there_when_it_began(self, scenario: Scenario) -> None:
        scenario.send(record("a"), state(1))

        run = scenario.run()

        assert self.intervals(scenario) == [(None, run["started_at"])]

    def test_the_next_walk_goes_on_from_there(self, scenario: Scenario) -> None:
        scenario.send(record("a"), state(1))
        scenario.run()

        run = scenario.run()

        assert self.intervals(scenario) == [(None, run["started_at"])]

    def test_a_walk_of_several_slices_counts_from_its_beginning(self, scenario: Scenario) -> None:
        scenario.settings = scenario.settings.model_copy(update={"slice_messages": 2, "batch_records": 1})

        def collect(start: Start, _: Context) -> Iterator[Message]:
            for number in range((start.cursor("items") or 0) + 1, 5):
                yield record(f"r{number}")
                yield state(number)

        scenario.install(collect)

        run = scenario.run()

        assert run["slices"] > 1
        assert self.intervals(scenario) == [(None, run["started_at"])]

    def test_a_walk_that_did_not_end_covers_nothing(self, scenario: Scenario) -> None:
        scenario.send(record("a"), state(1), skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM))

        scenario.run()

        assert self.intervals(scenario) == []

    def test_a_stream_that_shows_only_a_part_of_itself_is_never_covered_by_a_walk(self, scenario: Scenario) -> None:
        scenario.manifest = manifest({"name": "items", "cursor_semantic": "session_local"})
        scenario.send(record("a"), state(1))

        scenario.run()

        assert self.intervals(scenario) == []

    def test_periods_that_a_connector_names_merge(self, scenario: Scenario) -> None:
        scenario.manifest = manifest({"name": "items", "cursor_semantic": "session_local"})

        def covered(since: str, until: str) -> State:
            period = TimeRange(since=f"{since}T00:00:00Z", until=f"{until}T00:00:00Z")
            return State(stream="items", cursor=since, covered=period)

        scenario.send(
            covered("2026-03-01", "2026-04-01"),
            covered("2026-01-01", "2026-02-01"),
            covered("2026-02-01", "2026-03-01"),
        )
        scenario.run()

        assert self.intervals(scenario) == [(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))]

    @pytest.mark.parametrize(
        ("since", "until", "why"),
        [
            ("2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z", "ends before it begins"),
            ("0001-01-01T00:00:00+14:00", None, "whose end is no time"),
            (None, "9999-12-31T23:59:59-14:00", "whose end is no time"),
        ],
    )
    def test_a_period_that_no_calendar_has_is_refused(
        self, scenario: Scenario, since: str | None, until: str | None, why: str
    ) -> None:
        scenario.send(record("a"), State(stream="items", cursor=1, covered=TimeRange(since=since, until=until)))

        assert why in scenario.run()["error"]
        assert set(scenario.held()) == {"a"}

    def test_a_period_without_a_zone_is_refused(self, scenario: Scenario) -> None:
        scenario.send(State(stream="items", cursor=1, covered=TimeRange(since="yesterday")))

        assert "covers a period whose end is no time" in scenario.run()["error"]

    def test_the_latest_record_is_remembered(self, scenario: Scenario) -> None:
        scenario.manifest = manifest({"name": "items", "cursor_field": "at"})
        scenario.send(record("a", at="2026-01-02T00:00:00Z"), record("b", at="2026-01-01T00:00:00Z"))
        scenario.run()
        scenario.send(record("c", at="2025-01-01T00:00:00Z"))
        scenario.run()

        seen = scenario.one("SELECT max_seen FROM coverage WHERE stream = 'items'")["max_seen"]
        assert seen == datetime(2026, 1, 2, tzinfo=UTC)
