"""One connection reads one account; another one ends the run before anything is touched, and waits for the owner."""

from __future__ import annotations

import pytest

from pdpp_worker.connector import DetailGap, DetailGapRecovered, Message, Reason, SourceAccount, skip
from pdpp_worker.owner import connection_changes
from pdpp_worker.protocol.scope import WHOLE_STREAM
from tests.support.backlog import TARGETED
from tests.support.scripted import Scenario, manifest, record, state

ADA = SourceAccount(identity="U1", label="ada@example.org")
BOB = SourceAccount(identity="U2", label="bob@example.org")


@pytest.fixture
def adas(scenario: Scenario, no_haste: None) -> Scenario:
    """A connection that has read Ada's account, of which one item is missing."""
    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(ADA, record("a"), DetailGap(stream="items", record_key="m", reason="timed_out"), state(1))
    scenario.run()
    return scenario


def walk(scenario: Scenario, *messages: Message) -> dict[str, object]:
    scenario.send(*messages)
    return scenario.run()


def test_the_same_account_is_read_on(adas: Scenario) -> None:
    run = walk(adas, ADA, record("b"), state(2))

    assert (run["error"], set(adas.held())) == (None, {"a", "b"})


def test_another_account_writes_no_record_and_moves_no_cursor(adas: Scenario) -> None:
    run = walk(adas, BOB, record("b"), state(2))

    assert (run["status"], set(adas.held()), adas.cursors()) == ("failed", {"a"}, {"items": "1"})
    assert run["error"] == (
        "this connection has read the account ada@example.org (U1), and the source is now that of bob@example.org (U2)"
    )


def test_another_account_closes_no_gap_and_counts_no_attempt(adas: Scenario) -> None:
    [gap] = adas.gaps()
    adas.elapse()

    walk(adas, BOB, DetailGapRecovered(gap_id=str(gap["id"]), stream="items", record_key="m", absent=True), state(2))

    after = next(one for one in adas.gaps() if one["id"] == gap["id"])
    assert (after["status"], after["attempts"], after["next_attempt_at"]) == ("open", gap["attempts"], None)


def test_what_was_said_before_the_account_is_not_kept_either(adas: Scenario) -> None:
    walk(adas, skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM), BOB, state(2))

    reasons = {gap["reason"] for gap in adas.gaps() if gap["scope"] == {"partition": {}}}
    assert reasons == {"another_account"}


def test_it_waits_for_the_owner_and_not_for_time(adas: Scenario) -> None:
    walk(adas, BOB, state(2))

    [whole] = [gap for gap in adas.gaps() if gap["scope"] == {"partition": {}}]
    assert (whole["reason"], whole["next_attempt_at"]) == ("another_account", None)


def test_the_account_that_is_accepted_is_read_from_then_on(adas: Scenario) -> None:
    walk(adas, BOB, state(2))

    accepted = connection_changes.accept_account(adas.db, "mine")
    run = walk(adas, BOB, record("b"), state(2))

    assert str(accepted) == "bob@example.org (U2)"
    assert (run["error"], set(adas.held())) == (None, {"a", "b"})
    assert [gap["status"] for gap in adas.gaps() if gap["scope"] == {"partition": {}}] == ["recovered"]


def test_signing_in_to_the_old_account_again_mends_it(adas: Scenario) -> None:
    walk(adas, BOB, state(2))

    run = walk(adas, ADA, record("b"), state(2))

    assert (run["error"], set(adas.held())) == (None, {"a", "b"})
    assert adas.one("SELECT other_identity FROM connections") == {"other_identity": None}


def test_a_connector_that_names_no_account_is_read_as_before(adas: Scenario) -> None:
    run = walk(adas, record("b"), state(2))

    assert (run["error"], set(adas.held())) == (None, {"a", "b"})
