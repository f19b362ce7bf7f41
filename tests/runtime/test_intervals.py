"""Walked periods are known, and merge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pdpp_worker.connector import WHOLE_STREAM, Context, Message, Reason, Start, State, TimeRange, UpstreamError, skip
from pdpp_worker.protocol.messages import DetailCoverage
from tests.support.scripted import Scenario, manifest, record, state

pytestmark = pytest.mark.usefixtures("no_haste")


class TestCoverage:
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


def test_a_refused_checkpoint_covers_nothing(scenario: Scenario) -> None:
    details = {"name": "details", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}
    owed = DetailCoverage(stream="details", state_stream="items", required_keys=["x"], hydrated_keys=[])
    scenario.manifest = manifest("items", details)
    scenario.send(record("a"), owed, state(1))

    scenario.run()

    assert {row["intervals"] for row in scenario.rows("SELECT intervals::text FROM coverage")} == {"{}"}


def test_a_period_without_end_ends_when_it_was_walked(scenario: Scenario) -> None:
    def broken(_start: Start, _context: Context) -> Iterator[Message]:
        yield record("a")
        yield State(stream="items", cursor=1, covered=TimeRange(since="2026-01-01T00:00:00Z"))
        raise UpstreamError("broken", reason="network_error")

    scenario.install(broken)
    scenario.run()
    scenario.send(record("b"), state(2))
    run = scenario.run()

    [held] = scenario.rows("SELECT lower(intervals) AS since, upper(intervals) AS until FROM coverage")
    assert held == {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": run["started_at"]}


def test_a_period_that_is_still_to_come_covers_nothing(scenario: Scenario) -> None:
    later = State(stream="items", cursor=1, covered=TimeRange(since="2999-01-01T00:00:00Z"))
    scenario.manifest = manifest({"name": "items", "cursor_semantic": "session_local"})
    scenario.send(record("a"), later)

    assert scenario.run()["status"] == "succeeded"
    assert scenario.one("SELECT intervals::text FROM coverage") == {"intervals": "{}"}
