"""A stream that hangs on another by way of a third follows the cursor that keeps the place of all of them."""

from __future__ import annotations

import pytest

from pdpp_worker.connector import Reason, skip
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import DetailCoverage
from tests.support.backlog import CHANNEL
from tests.support.scripted import Scenario, manifest, record, state

pytestmark = pytest.mark.usefixtures("no_haste")


def windows() -> Manifest:
    """`grandchild` hangs on `child`, and that on `root`."""
    window = {"coverage_strategy": "checkpoint_window"}
    return manifest(
        "root",
        {"name": "child", "state_stream": "root", **window},
        {"name": "grandchild", "state_stream": "child", **window},
    )


def details() -> Manifest:
    """The same, with accounts of the details."""
    accounts = {"coverage_strategy": "parent_detail_accounting"}
    return manifest(
        "root",
        {"name": "child", "parent_streams": ["root"], **accounts},
        {"name": "grandchild", "parent_streams": ["child"], **accounts},
    )


def test_a_walk_from_the_cursor_that_finds_nothing_new_succeeds(scenario: Scenario) -> None:
    scenario.manifest = windows()
    scenario.send(*[record("1", stream) for stream in ("root", "child", "grandchild")], state(1, "root"))
    scenario.run()

    scenario.send(state(2, "root"))

    assert scenario.run()["status"] == "succeeded"


def test_a_walk_from_the_cursor_closes_no_part_that_it_did_not_pass(scenario: Scenario) -> None:
    scenario.manifest = windows()
    missed = skip("grandchild", Reason.UPSTREAM_ERROR, CHANNEL)
    scenario.send(*[record("1", one) for one in ("root", "child", "grandchild")], missed, state(1, "root"))
    scenario.run()

    scenario.send(*[record("2", one) for one in ("root", "child", "grandchild")], state(2, "root"))
    scenario.run()

    assert [gap["status"] for gap in scenario.gaps()] == ["open"]


@pytest.mark.parametrize("keeper", ["child", "root"])
def test_what_is_owed_holds_the_cursor_of_the_root(scenario: Scenario, keeper: str) -> None:
    scenario.manifest = details()
    owed = DetailCoverage(stream="grandchild", state_stream=keeper, required_keys=["x"], hydrated_keys=[])
    scenario.send(record("1", "root"), owed, state(1, "root"))

    assert (scenario.run()["status"], scenario.cursors()) == ("partially_completed", {})


def test_a_failure_holds_the_cursor_of_the_root(scenario: Scenario) -> None:
    scenario.manifest = windows()
    failed = skip("grandchild", Reason.UPSTREAM_ERROR, CHANNEL.model_copy(update={"partition": {}}))
    scenario.send(record("1", "root"), failed, state(1, "root"))
    scenario.run()

    assert scenario.cursors() == {}
