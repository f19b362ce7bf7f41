"""One place begins a transaction anew that lost to another one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from pdpp_worker.store import engine
from pdpp_worker.store.engine import Database
from tests.support.desk import Desk
from tests.support.waiting import PATIENCE_S

CHANGE = {
    "leases": text("UPDATE leases SET holder = holder WHERE connection_id = :c"),
    "runs": text("UPDATE runs SET phase = phase WHERE connection_id = :c"),
}


@pytest.fixture
def impatient(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The same database for one who waits a second for a lock."""
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_S", 1)
    database = Database(desk.db.engine.url.render_as_string(hide_password=False))
    yield database
    database.close()


def lock_lease(connection: Connection, desk: Desk) -> None:
    """Lock the connection."""
    connection.execute(text("SELECT 1 FROM leases WHERE connection_id = :c FOR UPDATE"), {"c": desk.connection_id})


def test_two_that_wait_for_each_other_both_succeed(desk: Desk) -> None:
    both_hold_one = Barrier(2, timeout=PATIENCE_S)
    tries: list[str] = []

    def lock(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            tries.append(first)
            connection.execute(CHANGE[first], place)
            if len(tries) <= 2:
                both_hold_one.wait()
            connection.execute(CHANGE[second], place)

        desk.db.transact(work)

    place = {"c": desk.connection_id}
    with ThreadPoolExecutor() as pool:
        one, other = pool.submit(lock, "leases", "runs"), pool.submit(lock, "runs", "leases")
        one.result(PATIENCE_S)
        other.result(PATIENCE_S)

    # Who lost may take its first lock again before the other one wakes up, and then the two lose once more.
    assert len(tries) >= 3


def test_a_lock_that_comes_free_late_is_waited_for(desk: Desk, impatient: Database) -> None:
    tries: list[int] = []

    with ThreadPoolExecutor() as pool:
        with desk.db.begin() as owner:
            lock_lease(owner, desk)

            def work(connection: Connection) -> str:
                tries.append(1)
                lock_lease(connection, desk)
                return "done"

            waiting = pool.submit(impatient.transact, work)
            while len(tries) < 2:
                desk.until_somebody_waits()

        assert waiting.result(PATIENCE_S) == "done"


def test_a_lock_that_never_comes_free_is_an_error(
    desk: Desk, impatient: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "TRIES", 2)

    with desk.db.begin() as owner:
        lock_lease(owner, desk)
        with pytest.raises(DBAPIError, match="lock timeout"):
            impatient.transact(lambda connection: lock_lease(connection, desk))


def test_what_is_no_lost_race_is_not_tried_again(desk: Desk) -> None:
    tries: list[int] = []

    def wrong(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("SELECT nonsense"))

    with pytest.raises(ProgrammingError):
        desk.db.transact(wrong)

    assert len(tries) == 1


def test_a_migration_beside_a_running_process_spoils_none_of_its_plans(desk: Desk) -> None:
    desk.execute("CREATE TABLE letters (text text)")
    with desk.db.engine.connect() as connection:
        for _ in range(10):
            connection.execute(text("SELECT * FROM letters"))
        connection.commit()
        desk.execute("ALTER TABLE letters ADD COLUMN stamp text")

        assert list(connection.execute(text("SELECT * FROM letters")).keys()) == ["text", "stamp"]
    desk.execute("DROP TABLE letters")


def test_a_glance_is_no_transaction_and_what_comes_after_it_is_one(desk: Desk) -> None:
    now = text("SELECT now()")

    with desk.db.glance() as connection:
        first, second = connection.execute(now).scalar_one(), connection.execute(now).scalar_one()
    with desk.db.begin() as connection:
        third, fourth = connection.execute(now).scalar_one(), connection.execute(now).scalar_one()

    assert first < second
    assert third == fourth
