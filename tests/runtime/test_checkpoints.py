"""When a cursor may move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from pdpp_worker.connector import Context, DetailCoverage, DetailGap, Done, DoneError, Message, Reason, Start, skip
from pdpp_worker.protocol.messages import SkipResult
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope
from pdpp_worker.runtime import checkpoints
from pdpp_worker.store import runs
from tests.support.scripted import Scenario, manifest, record, state


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
    monkeypatch.setattr(checkpoints, "CURSOR_BYTES", 10)
    scenario.send(record("a"), state("x" * 100))

    run = scenario.run()

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"state_too_large": 1})
    assert [gap["status"] for gap in scenario.gaps()] == ["open"]


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
