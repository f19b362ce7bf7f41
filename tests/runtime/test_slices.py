"""A run is worked slice by slice; nothing is lost or doubled between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import text

from pdpp_worker.connector import (
    Context,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    DoneError,
    Message,
    Reason,
    Start,
    Throttled,
    skip,
)
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.protocol.messages import SkipResult
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope
from pdpp_worker.runtime import intake
from pdpp_worker.runtime.guard import SliceEnded
from pdpp_worker.store import connections, runs
from tests.support.scripted import Scenario, manifest, record, state


def counting(total: int) -> object:
    """A connector that counts to `total` and keeps its place at every number."""

    def count(start: Start, _: Context) -> Iterator[Message]:
        place = start.cursor("items") or 0
        for number in range(place, total):
            yield record(f"n{number}")
            yield state(number + 1)

    return count


def test_a_run_goes_on_where_its_last_slice_stopped(scenario: Scenario) -> None:
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 10, "batch_records": 2})
    scenario.install(counting(23))  # type: ignore[arg-type]

    run = scenario.run()

    assert run["status"] == "succeeded"
    assert run["slices"] > 3
    assert set(scenario.held()) == {f"n{number}" for number in range(23)}
    assert len(scenario.starts) == run["slices"]


def test_a_slice_that_has_not_moved_its_place_is_not_cut(scenario: Scenario) -> None:
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 1, "slice_s": 0.001})
    scenario.send(*[record(f"n{number}") for number in range(50)], state(50))

    run = scenario.run()

    assert (run["status"], run["slices"], run["records_emitted"]) == ("succeeded", 1, 50)


def test_a_worker_that_shuts_down_keeps_the_place_for_the_next(scenario: Scenario) -> None:
    scenario.install(counting(5))  # type: ignore[arg-type]
    run_id = scenario.queue()

    stopped = scenario.slice(run_id, stopping=True)
    row = scenario.row(run_id)
    rest = scenario.slice(run_id)

    assert stopped is not None
    assert (stopped.status, row["status"]) == (None, "running")
    assert rest is not None
    assert rest.status == "succeeded"


def test_a_long_wait_ends_the_slice_and_the_run_goes_on_when_it_is_over(scenario: Scenario) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)

    def waits(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        yield state(1)
        raise SliceEnded(later)

    scenario.install(waits)
    run_id = scenario.queue()

    result = scenario.slice(run_id)

    assert result is not None
    assert result.resume_at == later
    assert scenario.row(run_id)["not_before"] == later
    assert scenario.cursors() == {"items": "1"}
    assert scenario.slice(run_id) is None


def test_a_doorbell_that_rings_twice_does_nothing_the_second_time(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    scenario.slice(run_id)

    assert scenario.slice(run_id) is None
    assert scenario.row(run_id)["slices"] == 1


def test_a_run_asked_for_twice_is_one_run(scenario: Scenario) -> None:
    scenario.send()

    assert scenario.queue() == scenario.queue()


def test_a_worker_that_lost_its_lease_writes_nothing(scenario: Scenario) -> None:
    def usurped(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        with scenario.db.begin() as connection:
            connection.execute(text("UPDATE leases SET token = token + 1, holder = 'another'"))
        yield state(1)

    scenario.install(usurped)
    run_id = scenario.queue()

    assert scenario.slice(run_id) is None
    assert scenario.held() == {}
    assert scenario.cursors() == {}
    assert scenario.row(run_id)["status"] == "running"


def test_the_owner_can_stop_a_run_and_keeps_what_is_durable(scenario: Scenario) -> None:
    def endless(_: Start, __: Context) -> Iterator[Message]:
        for number in range(10**9):
            yield record(f"n{number}")
            if number == 10:
                with scenario.db.begin() as connection:
                    runs.request_cancel(connection, scenario.connection_id)

    scenario.install(endless)
    scenario.settings = scenario.settings.model_copy(update={"batch_records": 5})

    run = scenario.run()

    assert run["status"] == "cancelled"
    assert run["records_durable"] == len(scenario.held()) > 10


def test_a_queued_run_can_be_stopped_before_it_starts(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    with scenario.db.begin() as connection:
        runs.request_cancel(connection, scenario.connection_id)

    scenario.slice(run_id)

    assert scenario.row(run_id)["status"] == "cancelled"
    assert scenario.starts == []


def test_a_throttle_that_the_connector_does_not_handle_becomes_a_gap_of_the_stream(scenario: Scenario) -> None:
    def throttled(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        raise Throttled("GET /list was refused for the rate")

    scenario.install(throttled)

    run = scenario.run()

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"rate_limited": 1})
    assert scenario.gaps()[0]["scope"] == {"partition": {}}


def test_a_whole_stream_gap_closes_when_the_stream_is_walked_to_its_end(scenario: Scenario) -> None:
    scenario.send(record("a"), skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM))
    scenario.run()

    scenario.send(record("a"), record("b"))
    run = scenario.run()

    assert run["status"] == "succeeded"
    assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]


@pytest.mark.parametrize("failed", ["items", "details"])
def test_a_cursor_does_not_move_past_a_stream_that_failed(scenario: Scenario, failed: str) -> None:
    details = {"name": "details", "state_stream": "items", "coverage_strategy": "checkpoint_window"}

    def walk(start: Start, _: Context) -> Iterator[Message]:
        if start.cursor("items") is None:
            yield record("a")
            yield skip(failed, Reason.UPSTREAM_ERROR, WHOLE_STREAM)
            yield state(1)

    scenario.install(walk, manifest("items", details))

    first, second = scenario.run(), scenario.run()

    assert (first["status"], second["status"]) == ("partially_completed", "partially_completed")
    assert (scenario.cursors(), [gap["status"] for gap in scenario.gaps()]) == ({}, ["open"])


def test_a_cursor_that_is_too_large_leaves_a_gap(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "CURSOR_BYTES", 10)
    scenario.send(record("a"), state("x" * 100))

    run = scenario.run()

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"state_too_large": 1})
    assert [gap["status"] for gap in scenario.gaps()] == ["open"]


def test_a_full_refresh_starts_without_a_cursor_and_keeps_its_own_place(scenario: Scenario) -> None:
    scenario.install(counting(4))  # type: ignore[arg-type]
    scenario.run()
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 4, "batch_records": 1})

    run = scenario.run(full=True)

    assert (run["records_emitted"], run["records_unchanged"]) == (4, 4)
    assert scenario.starts[1].state is None
    assert scenario.starts[-1].cursor("items") == 4 or scenario.starts[-1].cursor("items") == 2


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


class TestDetailAccounting:
    """A parent's cursor moves only when every detail is read or in a gap."""

    streams = (
        "items",
        {"name": "details", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"},
    )

    def coverage(self, hydrated: list[str], gaps: list[str]) -> DetailCoverage:
        return DetailCoverage(
            stream="details", state_stream="items", required_keys=["a", "b"], hydrated_keys=hydrated, gap_keys=gaps
        )

    def test_a_key_in_neither_set_withholds_the_checkpoint(self, scenario: Scenario) -> None:
        scenario.manifest = manifest(*self.streams)
        scenario.send(record("a"), self.coverage(["a"], []), state(1))

        run = scenario.run()

        assert (run["status"], scenario.cursors()) == ("partially_completed", {})

    def test_a_gap_key_without_its_gap_withholds_the_checkpoint(self, scenario: Scenario) -> None:
        scenario.manifest = manifest(*self.streams)
        scenario.send(record("a"), self.coverage(["a"], ["b"]), state(1))

        assert scenario.run()["checkpoints_committed"] == 0

    @pytest.mark.parametrize("commit", ["incremental", "on_done"])
    def test_a_key_that_is_owed_withholds_every_later_checkpoint(self, scenario: Scenario, commit: str) -> None:
        scenario.manifest = manifest(*self.streams, checkpoint_commit=commit)
        later = DetailCoverage(stream="details", state_stream="items", required_keys=["c"], hydrated_keys=["c"])
        scenario.send(self.coverage(["a"], []), state(1), later, state(2))

        run = scenario.run()

        assert (run["status"], scenario.cursors()) == ("failed", {})

    @pytest.mark.parametrize("commit", ["incremental", "on_done"])
    def test_a_key_that_turns_out_to_be_owed_after_the_checkpoint_withholds_it(
        self, scenario: Scenario, commit: str
    ) -> None:
        scenario.manifest = manifest(*self.streams, checkpoint_commit=commit)
        scenario.send(record("a"), state(1), self.coverage(["a"], []))

        run = scenario.run()

        assert (run["status"], scenario.cursors()) == ("partially_completed", {})

    def test_a_key_that_is_read_on_a_later_page_is_owed_no_longer(self, scenario: Scenario) -> None:
        scenario.manifest = manifest(*self.streams)
        later = DetailCoverage(stream="details", state_stream="items", required_keys=["b"], hydrated_keys=["b"])
        scenario.send(record("a"), self.coverage(["a"], []), later, state(1))

        assert (scenario.run()["status"], scenario.cursors()) == ("succeeded", {"items": "1"})

    @pytest.mark.parametrize("comes", ["before", "after"])
    def test_a_gap_accounts_for_its_key_wherever_it_comes(self, scenario: Scenario, comes: str) -> None:
        scenario.manifest = manifest(*self.streams)
        gap, coverage = (
            DetailGap(stream="details", record_key="b", reason="upstream_error"),
            self.coverage(["a"], ["b"]),
        )
        scenario.send(*((gap, coverage) if comes == "before" else (coverage, gap)), state(1))

        assert scenario.run()["checkpoints_committed"] == 1

    def test_every_key_accounted_for_lets_it_commit(self, scenario: Scenario) -> None:
        scenario.manifest = manifest(*self.streams)
        gap = DetailGap(stream="details", parent_stream="items", record_key="b", reason="upstream_error")
        scenario.send(record("a"), gap, self.coverage(["a"], ["b"]), state(1))

        run = scenario.run()

        assert (run["status"], run["checkpoints_committed"]) == ("partially_completed", 1)

    def test_a_detail_read_later_closes_its_gap(self, scenario: Scenario) -> None:
        self.test_every_key_accounted_for_lets_it_commit(scenario)
        scenario.send(record("b"), self.coverage(["a", "b"], []), state(2))

        run = scenario.run()

        assert (run["status"], scenario.gaps()[0]["status"]) == ("succeeded", "recovered")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DoneError(message="signed out", recovery_hint="refresh_credentials"), "credentials_expired"),
        (DoneError(message="a bot check", recovery_hint="manual_action_required"), "challenged"),
        (DoneError(message="down", retryable=True), "upstream_error"),
        (DoneError(message="unknown page"), "parse_failed"),
    ],
)
def test_a_connector_that_fails_says_who_has_to_act(scenario: Scenario, error: DoneError, reason: str) -> None:
    scenario.send(record("a"), Done(status="failed", error=error))

    run = scenario.run()

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {reason: 1})


class TestStagedCheckpoints:
    """Connectors that commit on DONE."""

    def test_a_checkpoint_waits_for_done(self, scenario: Scenario) -> None:
        scenario.manifest = manifest(checkpoint_commit="on_done")
        scenario.send(record("a"), state(1), Done(status="succeeded", records_emitted=1))

        assert (scenario.run()["status"], scenario.cursors()) == ("succeeded", {"items": "1"})

    @pytest.mark.parametrize(
        "done",
        [
            Done(status="failed", error=DoneError(message="broken")),
            Done(status="succeeded", records_emitted=7),
            Done(status="failed", error=DoneError(code="stream_collection_failed", message="claims, names nobody")),
        ],
        ids=["failed", "wrong count", "uncertified"],
    )
    def test_a_bad_end_commits_no_staged_checkpoint(self, scenario: Scenario, done: Done) -> None:
        scenario.manifest = manifest(checkpoint_commit="on_done")
        scenario.send(record("a"), state(1), done)

        run = scenario.run()

        assert (run["status"], scenario.cursors(), set(scenario.held())) == ("partially_completed", {}, {"a"})

    def test_a_certified_failure_of_one_stream_lets_the_others_commit(self, scenario: Scenario) -> None:
        scenario.manifest = manifest("items", "others", checkpoint_commit="on_done")
        failed = SkipResult(stream="others", reason="stream_collection_failed", recovery_hint="retry_by_runtime")
        error = DoneError(code="stream_collection_failed", message="others failed")
        scenario.send(record("a"), state(1), state(2, "others"), failed, Done(status="failed", error=error))

        run = scenario.run()

        assert (run["status"], scenario.cursors()) == ("partially_completed", {"items": "1"})

    @pytest.mark.parametrize(
        ("reason", "status"),
        [("upstream_error", "failed"), ("stream_collection_failed", "cancelled")],
        ids=["a skip for another reason", "a cancelled end"],
    )
    def test_a_failure_is_certified_by_that_reason_and_a_failed_end_only(
        self, scenario: Scenario, reason: str, status: Literal["failed", "cancelled"]
    ) -> None:
        scenario.manifest = manifest("items", "others", checkpoint_commit="on_done")
        failed = SkipResult(stream="others", reason=reason, recovery_hint="retry_by_runtime", scope=WHOLE_STREAM)
        error = DoneError(code="stream_collection_failed", message="others failed")
        scenario.send(record("a"), state(1), failed, Done(status=status, error=error))

        assert (scenario.run()["status"], scenario.cursors()) == ("partially_completed", {})

    def test_a_stream_whose_failure_names_a_part_of_it_keeps_its_place(self, scenario: Scenario) -> None:
        scenario.manifest = manifest("items", "others", checkpoint_commit="on_done")
        part = BatchScope(partition={"account": "1"})
        failed = SkipResult(
            stream="others", reason="stream_collection_failed", recovery_hint="retry_by_runtime", scope=part
        )
        error = DoneError(code="stream_collection_failed", message="others failed")
        scenario.send(record("a"), state(1), state(2, "others"), failed, Done(status="failed", error=error))

        assert (scenario.run()["status"], scenario.cursors()) == ("partially_completed", {"items": "1"})

    def test_a_cancellation_wins_over_an_end_that_comes_after_it(self, scenario: Scenario) -> None:
        def script(_start: Start, _context: Context) -> Iterator[Message]:
            yield record("a")
            yield state(1)
            with scenario.db.begin() as connection:
                runs.request_cancel(connection, scenario.connection_id)
            yield Done(status="succeeded", records_emitted=1)

        scenario.install(script, manifest(checkpoint_commit="on_done"))

        run = scenario.run()

        assert (run["status"], scenario.cursors(), set(scenario.held())) == ("cancelled", {}, {"a"})


@pytest.mark.parametrize(
    "message",
    [
        lambda secret: DetailGap(
            stream="items", record_key="a", reason="timed_out", detail_locator={"url": f"/a?token={secret}"}
        ),
        lambda secret: DetailGap(stream="items", record_key=secret, reason="timed_out"),
        lambda secret: skip("items", Reason.TIMED_OUT, BatchScope(partition={"account": secret})),
    ],
    ids=["locator", "key", "scope"],
)
def test_a_miss_that_holds_a_secret_is_refused(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, message: Callable[[str], Message]
) -> None:
    def script(_start: Start, context: Context) -> Iterator[Message]:
        yield message(context.secret("token").get_secret_value())

    monkeypatch.setenv("A_TOKEN", "correct-horse")
    with scenario.db.begin() as connection:
        connections.set_credentials(connection, scenario.connection_id, {"token": "env:A_TOKEN"})
    scenario.install(script, manifest(credentials={"token": {"title": "Token"}}))

    run = scenario.run()

    assert "holds a secret of the connection" in run["error"]
    assert "correct-horse" not in str(scenario.gaps())


@pytest.mark.parametrize(
    ("parents", "keeper", "sentence"),
    [
        (
            {"state_stream": "items", "coverage_strategy": "checkpoint_window"},
            "items",
            "coverage_strategy checkpoint_window, so the STATE of items says by itself what of it was read",
        ),
        (
            {"parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"},
            "details",
            "names state_stream 'details'; by the manifest its place is kept by items",
        ),
    ],
)
def test_details_cannot_be_accounted_for_past_the_cursor_that_covers_them(
    scenario: Scenario, parents: dict[str, Any], keeper: str, sentence: str
) -> None:
    owing = DetailCoverage(stream="details", state_stream=keeper, required_keys=["a"], hydrated_keys=[])
    scenario.install(
        lambda _start, _context: iter([record("a"), owing, state(1)]), manifest("items", {"name": "details", **parents})
    )

    run = scenario.run()

    assert sentence in run["error"]
    assert scenario.cursors() == {}


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            DetailCoverage(stream="items", state_stream="elsewhere", required_keys=[], hydrated_keys=[]),
            "names state_stream 'elsewhere'; by the manifest its place is kept by items",
        ),
        (record("a", stream="elsewhere"), "outside the scope"),
        (state(1, "elsewhere"), "outside the scope"),
        (DetailGap(stream="elsewhere", record_key="a", reason="timed_out"), "outside the scope"),
        (DetailGapRecovered(gap_id="99", stream="items", record_key="a"), "did not hand over"),
    ],
)
def test_a_violation_ends_the_run_and_keeps_what_was_durable(
    scenario: Scenario, message: Message, sentence: str
) -> None:
    scenario.send(record("before"), message, record("after"))

    run = scenario.run()

    assert run["status"] == "partially_completed"
    assert sentence in run["error"]
    assert set(scenario.held()) == {"before"}


def test_without_the_pacing_server_the_place_is_kept_and_nothing_is_missed(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks(_: Start, context: Context) -> Iterator[Message]:
        yield record("a")
        yield state(1)
        context.http(base_url="http://127.0.0.1:1").get("/")

    scenario.install(asks)
    monkeypatch.setattr(scenario, "_redis", connect("redis://127.0.0.1:1/0", 0.2))
    run_id = scenario.queue()

    result = scenario.slice(run_id)

    assert result is not None
    assert (result.status, scenario.row(run_id)["status"]) == (None, "running")
    assert result.resume_at is not None
    assert (scenario.cursors(), scenario.gaps()) == ({"items": "1"}, [])


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


def test_a_walk_is_an_attempt_at_every_gap_of_a_connector_that_takes_none(scenario: Scenario) -> None:
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="rate_limited"))
    scenario.run()
    make_due(scenario)

    scenario.send(record("a"))
    scenario.run()

    [gap] = scenario.gaps()
    assert gap["attempts"] == 2
    assert gap["next_attempt_at"] > datetime.now(UTC)


def make_due(scenario: Scenario) -> None:
    with scenario.db.begin() as connection:
        connection.execute(text("UPDATE gaps SET next_attempt_at = now()"))


def test_a_record_larger_than_the_database_holds_costs_only_itself(scenario: Scenario) -> None:
    huge = record("huge", n=[1] * 20_000_000)
    scenario.send(record("a"), huge, record("b"), state(2))

    run = scenario.run()

    assert (run["status"], run["records_rejected"], set(scenario.held())) == ("partially_completed", 1, {"a", "b"})


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
