"""A connection is removed with everything that is held of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pdpp_worker.errors import LeaseLostError
from pdpp_worker.store import connections, leases
from pdpp_worker.store.batch import Batch
from pdpp_worker.store.gaps import apply
from pdpp_worker.store.records import write_records
from tests.support.desk import POLICY, Desk, missed, row


def test_removal_takes_the_records_that_a_worker_was_still_writing(desk: Desk) -> None:
    desk.write(row("a"))

    with ThreadPoolExecutor() as owner:
        with desk.db.begin() as worker:
            leases.renew(worker, desk.claim)
            removed = owner.submit(remove, desk)
            desk.until_somebody_waits()
            write_records(worker, desk.connection_id, desk.run_id, "items", [row("b")])
            apply.apply(worker, desk.claim, "1.0.0", POLICY, [missed("c")])

        assert removed.result() == 2
    assert desk.held() == {}


def test_a_worker_of_a_removed_connection_writes_nothing(desk: Desk) -> None:
    remove(desk)

    with pytest.raises(LeaseLostError):
        desk.commit(Batch(records={"items": [row("a")]}))

    assert desk.held() == {}


def remove(desk: Desk) -> int:
    with desk.db.begin() as connection:
        return connections.remove(connection, desk.connection_id)
