"""A process that has nothing to ask holds no connection: each is a process of the server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import create_engine, event, text

from pdpp_worker.errors import ServerAwayError
from pdpp_worker.store.engine import Database
from pdpp_worker.store.idle import IdleCloser
from tests.support.waiting import until


@pytest.fixture
def resting(db: Database) -> Iterator[Database]:
    """The same database for a process that soon rests."""
    found = Database(db.engine.url.render_as_string(hide_password=False))
    found.engine = create_engine(db.engine.url, pool_use_lifo=True, connect_args={"application_name": "rests"})
    IdleCloser(found.engine, idle_s=0.05)
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


@pytest.mark.parametrize("error", [psycopg.OperationalError("away"), ServerAwayError("away")])
def test_a_server_that_went_away_meanwhile_is_told_by_whoever_needs_it(db: Database, error: Exception) -> None:
    engine = create_engine(db.engine.url, pool_pre_ping=True, connect_args={"application_name": "rests"})
    closer = IdleCloser(engine, idle_s=3600.0)
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    with db.begin() as connection:
        query = "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = 'rests'"
        connection.execute(text(query))

    def refuse(*_: object) -> None:
        raise error

    event.listen(engine, "do_connect", refuse)

    closer._close_idle()

    assert connections(db) == 0
    engine.dispose()
