"""One message that cannot be taken or stored is named, ends the run, and costs nothing that came before it."""

from __future__ import annotations

import pytest

from pdpp_worker.connector import Message, Reason, ResourceScope, State, skip
from pdpp_worker.protocol.messages import DetailCoverage
from pdpp_worker.protocol.scope import TimeRange
from pdpp_worker.runtime.handler import MessageHandler
from tests.support.scripted import Scenario, manifest, record, state

EMPTY_KEY = DetailCoverage(stream="d", state_stream="p", required_keys=[""], hydrated_keys=[""])
NO_TIME_OF_THE_DATABASE = State(stream="p", cursor=1, covered=TimeRange(since="2026-W01-1T00:00:00Z"))
TOO_LONG_FOR_AN_INDEX = skip("p", Reason.TEMPLATE_UNKNOWN, ResourceScope(resource_id="x")).model_copy(
    update={"connector_version_required": "1." + "".join(str(n * n) for n in range(3000))}
)


@pytest.fixture
def account(scenario: Scenario) -> Scenario:
    """A connection of a parent stream and its details."""
    details = {"name": "d", "parent_streams": ["p"], "coverage_strategy": "parent_detail_accounting"}
    scenario.manifest = manifest("p", details)
    return scenario


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (EMPTY_KEY, "has an empty key in required_keys"),
        (TOO_LONG_FOR_AN_INDEX, "cannot be stored (ProgramLimitExceeded)"),
    ],
)
def test_what_came_before_it_is_kept(account: Scenario, odd: Message, named: str) -> None:
    account.send(*(record(str(n), "p") for n in range(100)), odd, state(1, "p"))

    run = account.run()

    assert len(account.held("p")) == 100
    assert account.cursors() == {}
    assert run["status"] == "partially_completed"
    assert named in run["error"]
    assert {gap["stream"] for gap in account.gaps()} == {"p", "d"}


def test_records_before_a_period_that_the_database_cannot_read_are_kept(account: Scenario) -> None:
    account.send(*(record(str(n), "p") for n in range(100)), NO_TIME_OF_THE_DATABASE)

    run = account.run()

    assert len(account.held("p")) == 100
    assert run["ended_at"] is not None


def test_a_fault_of_our_own_on_a_message_ends_the_run(account: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(MessageHandler._HANDLERS, State, fails)
    account.send(record("a", "p"), state(1, "p"))

    run = account.run()

    assert len(account.held("p")) == 1
    assert "State cannot be taken (ZeroDivisionError)" in run["error"]


def test_a_refused_record_beside_it_keeps_its_way_back(account: Scenario) -> None:
    strict = {"type": "object", "required": ["must"]}
    account.manifest = manifest({"name": "p", "schema": strict})
    account.send(record("a", "p"), TOO_LONG_FOR_AN_INDEX)

    account.run()

    assert {gap["reason"] for gap in account.gaps()} == {"record_rejected", "parse_failed"}
