"""Which of two versions of a record is the newer one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdpp_worker.connector import Record
from tests.support.scripted import NOW, Scenario, manifest, record


def stamped(at: datetime, **data: Any) -> Record:
    """A record that says when it was emitted."""
    return Record(stream="items", key="a", data=data, emitted_at=at)


@pytest.mark.parametrize("first", [datetime(2031, 1, 1, tzinfo=UTC), NOW + timedelta(minutes=10)])
def test_without_a_cursor_field_what_came_last_stands_whatever_the_clock_of_its_connector_says(
    scenario: Scenario, first: datetime
) -> None:
    scenario.send(stamped(first, text="old"))
    scenario.run()

    scenario.send(stamped(NOW, text="new"))
    scenario.run(full=True)

    assert scenario.held()["a"]["text"] == "new"


def test_a_cursor_field_that_changes_its_form_makes_no_older_version(scenario: Scenario) -> None:
    scenario.manifest = manifest({"name": "items", "cursor_field": "at"})
    scenario.send(record("a", at=1_700_000_000_000, text="old"))
    scenario.run()

    scenario.send(record("a", at="2026-11-01T00:00:00Z", text="new"))
    scenario.run()

    assert scenario.held()["a"]["text"] == "new"


@pytest.mark.parametrize(("then", "stands"), [(2**63 - 2, "first"), (2**63, "second")])
def test_numbers_are_compared_to_the_last_digit(scenario: Scenario, then: int, stands: str) -> None:
    scenario.manifest = manifest({"name": "items", "cursor_field": "id"})
    scenario.send(Record(stream="items", key="a", data={"id": 2**63 - 1, "text": "first"}, emitted_at=NOW))
    scenario.run()

    scenario.send(Record(stream="items", key="a", data={"id": then, "text": "second"}, emitted_at=NOW))
    scenario.run()

    assert scenario.held()["a"]["text"] == stands


def test_of_a_record_that_comes_back_in_part_only_a_part_is_known(scenario: Scenario) -> None:
    scenario.send(record("a", x=1, y=2))
    scenario.run()
    scenario.send(Record(stream="items", key="a", data={"id": "a"}, emitted_at=NOW, op="delete"))
    scenario.run()

    scenario.send(Record(stream="items", key="a", data={"x": 9}, emitted_at=NOW, partial=True))
    scenario.run()

    assert scenario.one("SELECT data, partial, deleted_at FROM records") == {
        "data": {"id": "a", "x": 9, "y": 2},
        "partial": True,
        "deleted_at": None,
    }
