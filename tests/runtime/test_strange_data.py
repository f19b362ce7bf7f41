"""Data that nobody expects costs at most the record or the run that it is in, never a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from pdpp_worker.connector import (
    WHOLE_STREAM,
    Context,
    DetailGap,
    Message,
    Progress,
    RecoveryKind,
    SkipResult,
    Start,
    UpstreamError,
)
from tests.support.nesting import nested
from tests.support.scripted import Scenario, manifest, record, state

DEEP = nested(600, "\x00")
VALUES = ("deep", "infinity", "nan", "digits")


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


@pytest.mark.parametrize("value", [nested(100_000), float("inf"), float("nan"), 10**5000], ids=VALUES)
def test_one_strange_value_costs_its_own_record(scenario: Scenario, value: Any) -> None:
    scenario.send(record("a", x=value), record("b"), state(1))

    run = scenario.run()

    assert (run["error"], run["records_rejected"], set(scenario.held())) == (None, 1, {"b"})
    assert [gap["scope"] for gap in scenario.gaps()] == [{"resource_id": "a"}]


def test_a_key_of_any_text_is_a_key(scenario: Scenario) -> None:
    scenario.send(record("a\ud800"), record("a\udfff"), state(1))

    run = scenario.run()

    assert (run["status"], len(scenario.held())) == ("succeeded", 2)


@pytest.mark.parametrize("key", [float("inf"), float("nan"), 10**5000], ids=VALUES[1:])
def test_a_number_that_has_no_text_is_no_key(key: Any) -> None:
    with pytest.raises(ValidationError, match="a number as a key"):
        record(key)


@pytest.mark.parametrize("strange", [b"\x00", float("inf"), float("nan"), 10**5000], ids=["bytes", *VALUES[1:]])
def test_a_value_that_json_does_not_have_costs_its_place_in_a_locator(scenario: Scenario, strange: Any) -> None:
    locator = {"page": 3, "seen": [{"at": strange}]}
    gap = DetailGap(stream="items", record_key="b", reason="timed_out", detail_locator=locator)
    scenario.send(record("a"), gap, record("c"))

    run = scenario.run()

    assert (run["error"], set(scenario.held())) == (None, {"a", "c"})
    assert [one["detail_locator"] for one in scenario.gaps()] == [{"page": 3, "seen": [{"at": None}]}]


AWKWARD = "a\x00b\ud800"


def test_an_error_with_awkward_characters_ends_the_run_like_any_other(scenario: Scenario) -> None:
    def fails(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        raise UpstreamError(AWKWARD)

    scenario.install(fails)

    run = scenario.run()

    assert (run["status"], run["error"]) == ("partially_completed", "a\ufffdb\ufffd")
    assert scenario.stream(run["id"])["error"] == "upstream_error"


def test_a_parent_that_the_manifest_does_not_have_is_a_violation(scenario: Scenario) -> None:
    scenario.send(record("a"), DetailGap(stream="items", parent_stream="a\x00b", record_key="b", reason="timed_out"))

    run = scenario.run()

    assert (run["status"], set(scenario.held())) == ("partially_completed", {"a"})
    assert "which the manifest does not have" in run["error"]


def test_a_required_version_is_one() -> None:
    with pytest.raises(ValidationError, match="connector_version_required is no version"):
        SkipResult(
            stream="items",
            reason="parse_failed",
            scope=WHOLE_STREAM,
            recovery_kind=RecoveryKind.UPGRADE,
            connector_version_required="2\x00",
        )


def test_progress_beyond_all_counting_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal"):
        Progress(stream="items", total=10**18)
