"""The last word about an item counts, wherever a batch is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdpp_worker.connector import (
    Context,
    DetailGap,
    DetailGapRecovered,
    Message,
    Reason,
    Record,
    ResourceScope,
    Start,
    skip,
)
from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.protocol.messages import DetailCoverage
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.runtime.collector import Collector
from tests.support.backlog import TARGETED, missing
from tests.support.scripted import NOW, Scenario, manifest, record, state

DETAILS = {
    "name": "details",
    "parent_streams": ["items"],
    "coverage_strategy": "parent_detail_accounting",
    "cursor_field": "v",
    "schema": {"type": "object", "properties": {"bad": {"const": False}}},
}
KEYS = "abc"


def page(keys: Sequence[str], read: Sequence[str], gaps: Sequence[str] = ()) -> DetailCoverage:
    """The details that a page of items requires."""
    return DetailCoverage(
        stream="details", state_stream="items", required_keys=[*keys], hydrated_keys=[*read], gap_keys=[*gaps]
    )


def lost(key: str, reason: str = "timed_out", **fields: Any) -> DetailGap:
    """A detail that could not be read."""
    return DetailGap(stream="details", record_key=key, reason=reason, **fields)


@pytest.mark.usefixtures("no_haste")
@pytest.mark.parametrize("batch_records", [1, 4000])
def test_what_is_read_on_one_page_and_missed_on_the_next_is_missing(scenario: Scenario, batch_records: int) -> None:
    scenario.settings = scenario.settings.model_copy(update={"batch_records": batch_records, "batch_s": 60.0})
    scenario.manifest = manifest("items", DETAILS)
    first: list[Message] = [record("b"), record("b", "details", v=1), page("b", "b"), state(1)]
    scenario.send(*first, record("b", v=2), lost("b"), page("b", "", "b"), record("c"), state(2))

    run = scenario.run()

    assert (run["status"], [gap["status"] for gap in scenario.gaps()]) == ("partially_completed", ["open"])


@pytest.mark.usefixtures("no_haste")
def test_what_is_recovered_and_then_missed_again_is_missing_and_was_tried_once_more(scenario: Scenario) -> None:
    def half(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            yield record("b")
            yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key="b")
            yield DetailGap(stream="items", record_key="b", reason="timed_out")

    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(record("a"), *missing("b"), state(1))
    scenario.run()
    scenario.elapse()
    scenario.install(half)

    sweep_transient(scenario.settings, scenario.db)
    scenario.work()

    [gap] = scenario.gaps()
    assert (gap["status"], gap["reason"], gap["attempts"], gap["first_run_id"]) == ("open", "timed_out", 2, 1)


@pytest.mark.usefixtures("no_haste")
def test_a_run_that_meets_a_miss_many_times_has_tried_once(scenario: Scenario) -> None:
    scenario.send(record("a"), *missing(*["b"] * 12), state(1))

    scenario.run()

    [gap] = scenario.gaps()
    assert (gap["attempts"], gap["status"]) == (1, "open")


WALKING: dict[str, Callable[[str, int], Message]] = {
    "item": lambda key, n: record(key, n=n % 3),
    "whole": lambda key, n: record(key, "details", v=n % 5, bad=False),
    "partial": lambda key, n: Record(
        stream="details", key=key, data={"v": n % 5, key: n}, emitted_at=NOW, partial=True
    ),
    "deleted": lambda key, n: Record(stream="details", key=key, data={"v": n % 5}, emitted_at=NOW, op="delete"),
    "refused": lambda key, n: record(key, "details", v=n % 5, bad=True),
    "lost": lambda key, _: lost(key, detail_locator={"page": key}),
    "lost again": lambda key, _: lost(key, "network_error"),
    "unreadable": lambda key, _: lost(key, "template_unknown"),
    "read": lambda key, _: page(key, key),
    "owed": lambda key, _: page(key, ""),
    "failed": lambda _key, _n: skip("details", Reason.UPSTREAM_ERROR, WHOLE_STREAM),
    "place": lambda _, n: state(n),
}
"""Everything that a walk may say of an item, by a word for it."""
ANSWERS = ("whole", "older", "refused", "lost", "recovered", "gone", "read")
walks = st.lists(st.tuples(st.sampled_from(sorted(WALKING)), st.sampled_from(KEYS)), max_size=10)
recoveries = st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=5)


def answer(gap_id: str, key: str, word: str) -> Message:
    """The words that a recovery may say of a gap that it was handed."""
    said: dict[str, Message] = {
        "whole": record(key, "details", v=9, bad=False),
        "older": record(key, "details", v=-1, bad=False),
        "refused": record(key, "details", v=9, bad=True),
        "lost": lost(key, gap_id=gap_id),
        "recovered": DetailGapRecovered(gap_id=gap_id, stream="details", record_key=key),
        "gone": DetailGapRecovered(gap_id=gap_id, stream="details", record_key=key, absent=True),
        "read": page(key, key),
    }
    return said[word]


def outcome(scenario: Scenario) -> dict[str, Any]:
    """All that an owner can learn of the connection, but for times and the numbers of gaps."""
    with scenario.db.begin() as connection:
        streams = all_streams.read(connection, outlook.read(scenario.settings, connection))
    return {
        "verdicts": {one.stream: (one.verdict, one.missing, one.records) for one in streams},
        "cursors": scenario.cursors(),
        "gaps": scenario.rows("""
            SELECT stream, scope, status, reason, recovery_kind, attempts, first_run_id, last_run_id, detail_locator,
                last_error, next_attempt_at IS NULL AS untimed FROM gaps ORDER BY stream, scope::text
        """),
        "books": scenario.rows("SELECT *, NULL AS error FROM run_streams ORDER BY run_id, stream"),
        "runs": scenario.rows("""
            SELECT id, status, regexp_replace(error, 'gap [0-9]+', 'gap') AS error, skipped_by_reason, gaps_closed
            FROM runs ORDER BY id
        """),
        "records": scenario.rows("""
            SELECT stream, key, data, partial, deleted_at IS NULL AS held FROM records ORDER BY stream, key
        """),
    }


def play(
    scenario: Scenario, first: Sequence[Message], then: Sequence[Message], answers: Sequence[str]
) -> dict[str, Any]:
    """A walk, and a run that goes back for what the walk missed and walks again."""

    def collect(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            assert isinstance(gap.scope, ResourceScope)
            for word in answers:
                yield answer(gap.gap_id, gap.scope.resource_id, word)
        if not start.recovery_only:
            yield from then

    scenario.reset()
    scenario.send(*first)
    scenario.run()
    scenario.elapse()
    scenario.install(collect)
    scenario.run()
    return outcome(scenario)


@given(first=walks, then=walks, answers=recoveries, cuts=st.lists(st.booleans(), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_sequence_of_messages_ends_in_the_same_however_it_is_cut(
    scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
    first: list[tuple[str, str]],
    then: list[tuple[str, str]],
    answers: list[str],
    cuts: list[bool],
) -> None:
    scenario.settings = scenario.settings.model_copy(update={"gap_backoff_s": 600.0, "gap_max_attempts": 3})
    scenario.manifest = manifest("items", DETAILS, recovery=TARGETED)
    walked, walked_again = ([WALKING[word](key, n) for n, (word, key) in enumerate(walk)] for walk in (first, then))

    def ends(full: Callable[[int], bool]) -> dict[str, Any]:
        numbers = iter(range(10_000))

        def hand_over(collector: Collector) -> None:
            if full(next(numbers)):
                collector._committer.hand_over()

        monkeypatch.setattr(Collector, "_commit_if_due", hand_over)
        return play(scenario, walked, walked_again, answers)

    whole, cut = ends(lambda _: False), ends(lambda n: cuts[n % len(cuts)])

    assert cut == whole
