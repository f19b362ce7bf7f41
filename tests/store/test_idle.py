"""A process that has nothing to ask holds no connection: each is a process of the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from pdpp_worker.store import idle
from pdpp_worker.store.engine import Database
from pdpp_worker.store.idle import IdleClosingPool
from tests.support.waiting import PATIENCE_S, until


class SoonIdle(IdleClosingPool):
    """A pool of a process that soon rests."""

    idle_s = 0.05


class NeverIdle(IdleClosingPool):
    """A pool that closes what it is told to."""

    idle_s = 3600.0


def engine(db: Database, kind: type[IdleClosingPool], **settings: Any) -> Engine:
    """An engine with a pool of this kind for the same database."""
    name = {"application_name": "rests"}
    return create_engine(db.engine.url, poolclass=kind, pool_use_lifo=True, connect_args=name, **settings)


@pytest.fixture
def resting(db: Database) -> Iterator[Database]:
    """The same database for a process that soon rests."""
    found = Database(db.engine.url.render_as_string(hide_password=False))
    found.engine = engine(db, SoonIdle)
    yield found
    found.close()


def connections(db: Database) -> int:
    """How many connections the resting process has."""
    with db.begin() as connection:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rests'")
        return int(connection.execute(query).scalar_one())


def test_connections_that_nobody_uses_are_closed_and_opened_again_when_needed(db: Database, resting: Database) -> None:
    for _ in range(2):
        with resting.begin() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1

        until(lambda: connections(db) == 0)


def test_a_transaction_that_takes_longer_keeps_its_connection(db: Database, resting: Database) -> None:
    with resting.begin() as long:
        with resting.begin() as short:
            short.execute(text("SELECT 1"))
        until(lambda: connections(db) == 1)

        assert long.execute(text("SELECT 2")).scalar_one() == 2


def test_after_a_busy_time_no_more_connections_are_opened_than_are_needed(db: Database, resting: Database) -> None:
    with resting.begin(), resting.begin(), resting.begin():
        pass
    until(lambda: connections(db) == 0)
    opened: list[object] = []
    event.listen(resting.engine, "connect", lambda made, _: opened.append(made))

    for _ in range(3):
        with resting.begin() as connection:
            connection.execute(text("SELECT 1"))
    until(lambda: connections(db) == 0)

    assert len(opened) == 1


def test_a_process_that_is_never_idle_keeps_one_connection_of_a_crowded_time(db: Database) -> None:
    resting = engine(db, SoonIdle)
    with resting.begin(), resting.begin(), resting.begin():
        pass

    def work_on() -> bool:
        with resting.begin() as connection:
            connection.execute(text("SELECT 1"))
        return connections(db) == 1

    until(work_on)
    resting.dispose()


def test_who_needs_a_connection_while_idle_ones_are_closed_waits_for_none(db: Database) -> None:
    resting = engine(db, NeverIdle, pool_size=2, max_overflow=0, pool_timeout=PATIENCE_S)
    with resting.begin(), resting.begin():
        pass
    served: list[object] = []

    def serve_another(*_: object) -> None:
        if not served:
            with resting.begin() as connection:
                served.append(connection.execute(text("SELECT 1")).scalar_one())

    event.listen(resting, "close", serve_another)
    assert isinstance(resting.pool, IdleClosingPool)

    resting.pool.close_idle()

    assert served == [1]
    assert resting.pool.checkedout() == 0
    until(lambda: connections(db) == 0)
    resting.dispose()


def test_a_connection_that_was_just_used_is_not_asked_for_a_sign_of_life(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting = engine(db, NeverIdle, pool_pre_ping=True)
    asked: list[object] = []

    def ping(made: object) -> bool:
        asked.append(made)
        return True

    monkeypatch.setattr(resting.dialect, "do_ping", ping)
    for fresh_s, expected in ((3600.0, 0), (0.0, 0), (0.0, 1)):
        monkeypatch.setattr(idle, "FRESH_S", fresh_s)
        with resting.begin() as connection:
            connection.execute(text("SELECT 1"))
        assert len(asked) == expected
    resting.dispose()


def test_a_server_that_went_away_meanwhile_is_not_asked_for_anything(db: Database) -> None:
    resting = engine(db, NeverIdle)
    with resting.begin() as connection:
        connection.execute(text("SELECT 1"))
    with db.begin() as connection:
        query = "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = 'rests'"
        connection.execute(text(query))
    opened: list[object] = []
    event.listen(resting, "do_connect", lambda *_: opened.append(1))
    assert isinstance(resting.pool, IdleClosingPool)

    resting.pool.close_idle()

    assert (opened, resting.pool.checkedin()) == ([], 0)
    resting.dispose()
