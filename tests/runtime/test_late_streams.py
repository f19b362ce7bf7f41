"""A cursor speaks for the streams that were walked with it, and for no other: what came later has its old items too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pdpp_worker.connector import Context, DetailGapRecovered, Message, Start
from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import DetailCoverage
from pdpp_worker.store import edits
from tests.support.backlog import TARGETED, missing, sweep
from tests.support.scripted import Scenario, manifest, record, state

pytestmark = pytest.mark.usefixtures("no_haste")

SIZE = 4
DETAILS = {"name": "details", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}


def of(version: str, *streams: Any) -> Manifest:
    """The manifest of a version."""
    return manifest(*streams, version=version)


def details_of(key: str) -> list[Message]:
    """The detail of an item, and that it was read."""
    read = DetailCoverage(stream="details", state_stream="items", required_keys=[key], hydrated_keys=[key])
    return [record(key, "details"), read]


def walking(start: Start, _: Context) -> Iterator[Message]:
    """A walk from the cursor on."""
    for number in range((start.cursor("items") or 0) + 1, SIZE + 1):
        yield record(str(number))
        if start.wants("details"):
            yield from details_of(str(number))
        yield state(number)


def verdicts(scenario: Scenario) -> dict[str, str]:
    """Stream to its verdict."""
    with scenario.db.begin() as connection:
        streams = all_streams.read(connection, outlook.read(scenario.settings, connection))
    return {one.stream: one.verdict.value for one in streams}


def test_a_stream_that_comes_new_to_a_cursor_gets_its_old_items(scenario: Scenario) -> None:
    scenario.install(walking, of("1.0.0", "items"))
    scenario.run()

    scenario.install(walking, of("2.0.0", "items", DETAILS))
    scenario.run()

    assert (len(scenario.held("details")), verdicts(scenario)["details"]) == (SIZE, "complete")


def test_what_was_passed_by_a_version_that_does_not_know_the_stream_is_walked_again(scenario: Scenario) -> None:
    scenario.install(walking, of("2.0.0", "items", DETAILS))
    run_id = scenario.queue()
    scenario.install(walking, of("1.0.0", "items"))
    scenario.finish(run_id)

    scenario.install(walking, of("2.0.0", "items", DETAILS))
    scenario.run()

    assert len(scenario.held("details")) == SIZE


def test_what_was_passed_while_a_setting_ruled_the_stream_out_is_walked_again(scenario: Scenario) -> None:
    without = {"availability": {"supplied": False, "with": "without", "reason": "left out by a setting"}}
    settings = {"without": {"title": "Without", "type": "boolean"}}
    scenario.install(walking, manifest("items", {**DETAILS, **without}, settings=settings))
    for given in (True, None):
        with scenario.db.begin() as connection:
            edits.change_settings(connection, scenario.connection_id, {"without": given})
        scenario.run()

    assert len(scenario.held("details")) == SIZE


def test_a_walk_from_the_cursor_goes_on_where_all_its_streams_were_walked(scenario: Scenario) -> None:
    scenario.install(walking, of("1.0.0", "items", DETAILS))
    scenario.run()

    scenario.install(walking, of("2.0.0", "items", DETAILS))
    scenario.run()

    assert [start.cursor("items") for start in scenario.starts] == [None, SIZE]


def cut(start: Start, _: Context) -> Iterator[Message]:
    """A walk that fails after its first item, before the details of it."""
    yield record("1")
    raise ZeroDivisionError


def test_an_item_that_a_full_walk_brings_before_it_is_cut_gets_its_details(scenario: Scenario) -> None:
    scenario.manifest = of("1.0.0", "items", DETAILS)
    scenario.send(*missing("1"), state(SIZE))
    scenario.run()
    scenario.install(cut)
    scenario.run(full=True)

    scenario.install(walking)
    scenario.run()

    assert "1" in scenario.held("details") or [gap["status"] for gap in scenario.gaps()] == ["open"]


@pytest.mark.parametrize("streams", [("items", DETAILS), ("items",)], ids=["with details", "without"])
def test_an_item_that_is_recovered_is_proved_by_the_claim_where_its_details_follow(
    scenario: Scenario, streams: tuple[Any, ...]
) -> None:
    def recovering(start: Start, _: Context) -> Iterator[Message]:
        for _gap in start.detail_gaps:
            yield record("1")
            raise ZeroDivisionError

    scenario.manifest = manifest(*streams, recovery=TARGETED)
    scenario.send(*missing("1"), state(SIZE))
    scenario.run()
    scenario.elapse()
    scenario.install(recovering)

    sweep(scenario)

    assert [gap["status"] for gap in scenario.gaps()] == ["open" if len(streams) > 1 else "recovered"]


def test_the_claim_closes_it(scenario: Scenario) -> None:
    def recovering(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            yield record("1")
            yield from details_of("1")[:1]
            yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key="1")

    scenario.manifest = manifest("items", DETAILS, recovery=TARGETED)
    scenario.send(*missing("1"), state(SIZE))
    scenario.run()
    scenario.elapse()
    scenario.install(recovering)

    sweep(scenario)

    assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]
