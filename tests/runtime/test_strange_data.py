"""Data that nobody expects costs at most the record or the run that it is in, never a worker."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from pdpp_worker.connector import DetailGap
from tests.support.scripted import Scenario, manifest, record, state

DEEP: Any = functools.reduce(lambda inner, _: [inner], range(600), "\x00")


def test_data_that_the_schema_cannot_even_be_asked_about_is_a_rejection(scenario: Scenario) -> None:
    of_texts = {"type": "object", "additionalProperties": {"type": "string"}}
    scenario.manifest = manifest({"name": "items", "schema": {"type": "object", "properties": {"table": of_texts}}})
    scenario.send(record("a", table={1: "one"}), record("b"), state(1))

    run = scenario.run()

    assert (run["status"], run["records_rejected"], set(scenario.held())) == ("partially_completed", 1, {"b"})
    assert json.loads(scenario.one("SELECT raw FROM rejections")["raw"]) == {"id": "a", "table": {"1": "one"}}


@pytest.mark.parametrize("at", [10**400, -(10**400), "soon", None, [], True])
def test_a_version_that_is_no_instant_orders_nothing(scenario: Scenario, at: Any) -> None:
    scenario.manifest = manifest({"name": "items", "cursor_field": "at"})
    scenario.send(record("a", at=at), record("a", at=1), state(1))

    run = scenario.run()

    assert (run["status"], run["records_flushed"]) == ("succeeded", 2)
    assert scenario.held()["a"]["at"] == 1


def test_deep_data_with_awkward_characters_is_a_record_like_any_other(scenario: Scenario) -> None:
    scenario.send(record("a", deep=DEEP), state(1))

    assert scenario.run()["status"] == "succeeded"
    assert json.loads(scenario.one("SELECT raw FROM records")["raw"]) == {"id": "a", "deep": DEEP}


def test_a_locator_that_json_does_not_have_is_a_violation(scenario: Scenario) -> None:
    gap = DetailGap(stream="items", record_key="b", reason="timed_out", detail_locator={"page": b"\x00"})
    scenario.send(record("a"), gap, record("c"))

    run = scenario.run()

    assert (run["status"], set(scenario.held())) == ("partially_completed", {"a"})
    assert "the locator of a miss in stream 'items' is no JSON" in run["error"]
