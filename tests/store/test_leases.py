"""One writer for a connection at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, text

from pdpp_worker.errors import LeaseLostError
from pdpp_worker.store import leases, runs
from pdpp_worker.store.batch import Batch, Claim, Rejection
from pdpp_worker.store.effects import KeyFetched
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps.selection import GapFilter
from tests.support.desk import Desk, missed, row
from tests.support.waiting import PATIENCE_S

EVERYTHING = ("records", "rejections", "checkpoints", "gaps", "events")


def acquire(desk: Desk, holder: str = "another") -> Claim | None:
    """Try to take the lease."""
    with desk.db.begin() as connection:
        return leases.acquire(connection, desk.connection_id, desk.run_id, holder, 600.0)


def renew(desk: Desk, claim: Claim) -> bool:
    """Renew the lease; whether the owner asked to stop."""
    with desk.db.begin() as connection:
        return leases.renew(connection, claim)


def release(desk: Desk, claim: Claim) -> None:
    """Give the lease back."""
    with desk.db.begin() as connection:
        leases.release(connection, claim)


def make_due(connection: Connection, connection_ids: Sequence[int], selection: GapFilter) -> int:
    """Let all of them be tried now."""
    return by_owner.make_due(connection, connection_ids, selection, None)


def full_batch() -> Batch:
    """A batch with something of everything."""
    batch = Batch(
        records={"items": [row("a", {"id": "a"})]},
        rejections=[Rejection("items", "b", "it breaks the schema", b"{}")],
        checkpoints={"items": '{"at":1}'},
        effects=[missed("c")],
        events=[("stream_skipped", "items", {})],
    )
    batch.tally("items").emitted = 2
    return batch


def written(desk: Desk) -> dict[str, Any]:
    """All that is stored for the connection."""
    stored: dict[str, Any] = {
        table: desk.rows(f"SELECT * FROM {table} WHERE connection_id = :c ORDER BY 1, 2, 3")  # noqa: S608
        for table in EVERYTHING
    }
    stored["books"] = desk.rows("SELECT * FROM run_streams WHERE run_id = :run", run=desk.run_id)
    return stored


def test_a_second_holder_is_refused(desk: Desk) -> None:
    assert acquire(desk) is None


def test_an_expired_lease_is_taken_over(desk: Desk) -> None:
    desk.execute("UPDATE leases SET expires_at = now() - interval '1 second' WHERE connection_id = :c")

    claim = acquire(desk)

    assert claim is not None
    assert claim.token > desk.claim.token
    assert desk.one("SELECT holder FROM leases WHERE connection_id = :c") == {"holder": "another"}


def test_a_lease_that_was_given_back_is_free(desk: Desk) -> None:
    release(desk, desk.claim)

    assert acquire(desk) is not None


def test_the_token_only_grows(desk: Desk) -> None:
    tokens = [desk.claim.token]
    for number in range(4):
        taken = desk.take(f"worker {number}")
        tokens.append(taken.token)
        renew(desk, taken)
        release(desk, taken)

    assert tokens == sorted(set(tokens))


def test_a_renewal_extends_the_lease_and_keeps_the_token(desk: Desk) -> None:
    desk.execute("UPDATE leases SET expires_at = now() WHERE connection_id = :c")

    renew(desk, desk.claim)

    held = desk.one("SELECT token, expires_at > now() + interval '300 s' AS long FROM leases WHERE connection_id = :c")
    assert held == {"token": desk.claim.token, "long": True}


def test_a_renewal_tells_that_the_owner_asked_to_stop(desk: Desk) -> None:
    assert renew(desk, desk.claim) is False
    with desk.db.begin() as connection:
        assert runs.request_cancel(connection, desk.connection_id) == desk.run_id

    assert renew(desk, desk.claim) is True


def test_what_was_given_back_cannot_be_renewed(desk: Desk) -> None:
    release(desk, desk.claim)

    with pytest.raises(LeaseLostError):
        renew(desk, desk.claim)
    assert acquire(desk) is not None


def test_the_loser_cannot_give_back_what_another_holds(desk: Desk) -> None:
    lost, held = desk.claim, desk.take("another")

    release(desk, lost)

    assert renew(desk, held) is False
    assert acquire(desk, "a third") is None


def test_the_loser_writes_nothing_at_all(desk: Desk) -> None:
    desk.miss(missed("known"))
    lost = desk.claim
    desk.take("another")
    before = written(desk)
    batch = full_batch()
    batch.effects.append(KeyFetched("items", "known"))

    with pytest.raises(LeaseLostError, match=f"The lease for run {desk.run_id} went to another worker"):
        desk.commit(batch, lost)

    assert written(desk) == before


def test_the_holder_writes_all_of_it(desk: Desk) -> None:
    before = written(desk)

    desk.commit(full_batch())

    after = written(desk)
    assert all(len(after[part]) > len(before[part]) for part in after)


def test_a_writer_keeps_others_out_until_its_transaction_ends(desk: Desk) -> None:
    free = "SELECT 1 FROM leases WHERE connection_id = :c FOR UPDATE SKIP LOCKED"
    with desk.db.begin() as connection:
        leases.renew(connection, desk.claim)
        assert desk.rows(free) == []

    assert len(desk.rows(free)) == 1


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("change", [by_owner.waive, by_owner.reopen, make_due])
def test_whoever_changes_many_gaps_and_a_batch_do_not_wait_for_each_other(
    desk: Desk, change: Callable[[Connection, Sequence[int], GapFilter], int], order: str
) -> None:
    desk.miss(missed("a"), missed("b"))
    status = "waived" if change is by_owner.reopen else "open"
    desk.execute(
        "UPDATE gaps SET status = :status, closed_at = CASE WHEN :status = 'waived' THEN now() END "
        "WHERE connection_id = :c",
        status=status,
    )
    one_by_one = "UPDATE gaps SET last_error = 'seen' WHERE id = :id"

    def by_hand() -> int:
        with desk.db.begin() as connection:
            return change(connection, [desk.connection_id], GapFilter())

    with ThreadPoolExecutor() as pool:
        with desk.db.begin() as connection:
            leases.renew(connection, desk.claim)
            connection.execute(text(one_by_one), {"id": desk.gap(order[0])["id"]})
            changing = pool.submit(by_hand)
            desk.until_somebody_waits()
            connection.execute(text(one_by_one), {"id": desk.gap(order[1])["id"]})

        assert changing.result(timeout=PATIENCE_S) == 2
