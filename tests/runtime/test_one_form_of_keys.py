"""The same item has the same name everywhere: in misses, records, claims and an owner's question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pdpp_worker.connector import (
    BatchScope,
    Context,
    DetailGap,
    DetailGapRecovered,
    Message,
    Reason,
    Record,
    Start,
    skip,
)
from pdpp_worker.protocol.messages import parse_message
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.store.views import item_views
from tests.support.backlog import BOTH_FORMS, TARGETED, failing, missing
from tests.support.scripted import NOW, Scenario, manifest, record, state

pytestmark = pytest.mark.usefixtures("no_haste")


def recover(scenario: Scenario) -> list[dict[str, Any]]:
    """Let what is missing be due, and go back for it."""
    scenario.elapse()
    sweep_transient(scenario.settings, scenario.db)
    return scenario.work()


@pytest.mark.parametrize("key", ["a\x00b", "file-\udcff.txt", "[draft", '"quoted"', "m" * 2000])
def test_an_item_of_any_name_that_is_missed_again_is_the_same_gap(scenario: Scenario, key: str) -> None:
    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(record("a"), *missing(key), state(1))
    scenario.run()
    scenario.install(failing)

    recover(scenario)

    assert [(gap["status"], gap["attempts"]) for gap in scenario.gaps()] == [("open", 2)]


@pytest.mark.parametrize("value", [1e23, 1.7e18, -0.0, "a\x00b", None])
def test_a_part_of_any_value_that_is_missed_again_is_the_same_gap(scenario: Scenario, value: Any) -> None:
    scenario.manifest = manifest(recovery=BOTH_FORMS)
    part = BatchScope(partition={"since": value})
    scenario.send(record("a"), skip("items", Reason.UPSTREAM_ERROR, part), state(1))
    scenario.run()

    def again(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            yield skip("items", Reason.UPSTREAM_ERROR, gap.scope)

    scenario.install(again)
    recover(scenario)

    assert [(gap["status"], gap["attempts"]) for gap in scenario.gaps()] == [("open", 2)]


@pytest.mark.parametrize("key", ["[draft", '"quoted"', ["c1", "m1"]])
def test_a_record_closes_the_gap_of_its_key(scenario: Scenario, key: str | list[str]) -> None:
    name = key if isinstance(key, str) else '["c1", "m1"]'
    scenario.send(record("a"), *missing(name))
    scenario.run()

    scenario.send(record("a"), Record(stream="items", key=key, data={}, emitted_at=NOW))
    scenario.run()

    assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]


@pytest.mark.parametrize("claimed", ["m1", '["m1","x"]', '["m1", "x"]'])
def test_a_compound_record_proves_the_item_that_its_first_part_names(scenario: Scenario, claimed: str) -> None:
    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(record("a"), *missing("m1"))
    scenario.run()

    def mend(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            yield Record(stream="items", key=["m1", "x"], data={}, emitted_at=NOW)
            yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=claimed)

    scenario.install(mend)
    recover(scenario)

    assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]


@pytest.mark.parametrize("asked", ['["c1","m1"]', '["c1", "m1"]'])
def test_an_owner_finds_a_compound_record_however_it_is_spaced(scenario: Scenario, asked: str) -> None:
    scenario.send(Record(stream="items", key=["c1", "m1"], data={}, emitted_at=NOW))
    scenario.run()

    with scenario.db.begin() as connection:
        assert item_views.record_of(connection, scenario.connection_id, "items", asked) is not None


def test_a_period_without_ends_is_the_whole_stream(scenario: Scenario) -> None:
    scope = {"partition": {}, "range": {"since": None, "until": None}}
    fields = {"reason": "upstream_error", "recovery_kind": "retry_by_runtime", "scope": scope}
    scenario.send(record("a"), parse_message({"type": "SKIP_RESULT", "stream": "items", **fields}), state(1))
    scenario.run()

    scenario.send(state(2))
    scenario.run()

    assert [(gap["scope"], gap["status"]) for gap in scenario.gaps()] == [({"partition": {}}, "recovered")]


def test_a_gap_that_is_missed_as_one_of_another_stream_is_a_violation(scenario: Scenario) -> None:
    scenario.manifest = manifest("items", "others", recovery=TARGETED)
    scenario.send(record("a"), *missing("b"), state(1))
    scenario.run()

    def wrong(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            yield DetailGap(stream="others", record_key="b", reason="rate_limited", gap_id=gap.gap_id)

    scenario.install(wrong)
    [run] = recover(scenario)

    assert "is about stream 'items', as one of stream 'others'" in run["error"]
    assert [(gap["stream"], gap["attempts"]) for gap in scenario.gaps()] == [("items", 2)]
