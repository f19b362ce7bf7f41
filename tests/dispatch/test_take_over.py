"""A run whose worker is gone is found as soon as its lease has run out, and no other run is."""

from __future__ import annotations

import pytest

from pdpp_worker.dispatch import take_over
from pdpp_worker.dispatch.tick import AGAIN_S
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, leases, run_slices, runs
from pdpp_worker.store.engine import Database

LEASE_S = 30.0


@pytest.fixture
def run_id(db: Database) -> int:
    with db.begin() as connection:
        one = connections.add(connection, "logs", "claude_code", {}, {})
        return runs.create(connection, one, trigger="manual", streams=[{"name": "messages"}], version="1.0.0")[0]


def begin(db: Database, run_id: int, lease_s: float) -> run_slices.Slice:
    with db.begin() as connection:
        claimed = run_slices.claim_slice(connection, run_id, "here", lease_s)
    assert claimed is not None
    return claimed


def test_one_whose_lease_ran_out_in_the_middle_of_a_slice_is_told_of_once(db: Database, run_id: int) -> None:
    begin(db, run_id, 0)

    assert [one.run_id for one in take_over(db).runs] == [run_id]
    assert take_over(db) == ([], None)


def test_one_that_is_worked_at_is_left_alone(db: Database, run_id: int) -> None:
    begin(db, run_id, LEASE_S)

    assert take_over(db).runs == []


def test_the_next_look_is_due_when_the_first_of_the_leases_runs_out(db: Database, run_id: int) -> None:
    begin(db, run_id, LEASE_S)
    with db.begin() as connection:
        other = connections.add(connection, "later", "claude_code", {}, {})
        leases.acquire(connection, other, run_id, "here", 10 * LEASE_S)

    next_s = take_over(db).next_s

    assert next_s is not None
    assert 0 < next_s <= LEASE_S


def test_one_that_a_transaction_keeps_locked_is_looked_for_again_soon(db: Database, run_id: int) -> None:
    begin(db, run_id, 0)
    with db.begin() as cut_off:
        cut_off.exec_driver_sql("SELECT 1 FROM runs FOR UPDATE")

        assert take_over(db) == ([], AGAIN_S)


def test_one_whose_slice_ended_in_good_order_is_left_to_the_worker_that_ended_it(db: Database, run_id: int) -> None:
    claimed = begin(db, run_id, LEASE_S)
    with db.begin() as connection:
        run_slices.continue_later(connection, claimed.claim, 0, "walk", {})

    assert take_over(db).runs == []


def test_a_transaction_that_holds_a_lease_may_be_idle_no_longer_than_the_lease(
    settings: Settings, db: Database, run_id: int
) -> None:
    claimed = begin(db, run_id, 7)

    with db.begin() as connection:
        leases.renew(connection, claimed.claim)
        bound = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one()

    assert bound == "7s"
