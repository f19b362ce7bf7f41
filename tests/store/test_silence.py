"""No wait for PostgreSQL lasts for ever: not for one that is silent, nor for a transaction that is left open."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from pdpp_worker.store import engine, leases, silence
from pdpp_worker.store.engine import Database
from pdpp_worker.store.silence import WatchedConnection
from pdpp_worker.store.views import record_views
from tests.support.desk import Desk
from tests.support.swallowing import SwallowingProxy
from tests.support.waiting import PATIENCE_S, until

SHORT_S = 0.5


@pytest.fixture(autouse=True)
def look_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask soon whether the server still works."""
    monkeypatch.setattr(silence, "SILENCE_S", SHORT_S)
    monkeypatch.setattr(silence, "ANSWER_S", SHORT_S)


@pytest.fixture
def proxy(desk: Desk) -> Iterator[SwallowingProxy]:
    """A way to the server that can be cut."""
    with SwallowingProxy(desk.db.engine.url) as proxy:
        yield proxy


@pytest.fixture
def far(desk: Desk, proxy: SwallowingProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The same database, for somebody on another host."""
    monkeypatch.setattr(engine, "CONNECT_TIMEOUT_S", 2)
    url = desk.db.engine.url.set(host="127.0.0.1", port=proxy.port, query={})
    database = Database(url.render_as_string(hide_password=False))
    yield database
    database.close()


def answer(database: Database) -> int:
    """Ask the server for something."""
    with database.begin() as connection:
        return int(connection.execute(text("SELECT 1")).scalar_one())


@pytest.mark.parametrize("new_too", [True, False])
def test_a_server_that_falls_silent_in_a_statement_is_given_up(
    far: Database, proxy: SwallowingProxy, *, new_too: bool
) -> None:
    with ThreadPoolExecutor() as pool, far.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        proxy.swallow(new_too=new_too)
        waiting = pool.submit(connection.execute, text("SELECT 2"))

        with pytest.raises(OperationalError, match="no longer works on it"):
            waiting.result(PATIENCE_S)


def test_a_pool_gets_over_a_time_in_which_everything_was_swallowed(far: Database, proxy: SwallowingProxy) -> None:
    answer(far)
    proxy.swallow()
    with pytest.raises(OperationalError):
        answer(far)

    proxy.forward()

    assert answer(far) == 1


def test_a_statement_that_the_server_works_on_is_waited_for(far: Database) -> None:
    with far.begin() as connection:
        assert connection.execute(text("SELECT 1 FROM pg_sleep(:s)"), {"s": SHORT_S * 4}).scalar_one() == 1


def test_an_answer_that_comes_while_the_server_is_asked_is_taken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked_late(connection: WatchedConnection) -> bool:
        until(connection._has_answered)
        return False

    monkeypatch.setattr(WatchedConnection, "_is_at_work", asked_late)

    with desk.db.begin() as connection:
        assert connection.execute(text("SELECT 1 FROM pg_sleep(:s)"), {"s": SHORT_S * 2}).scalar_one() == 1


def test_a_host_that_is_cut_off_in_a_transaction_keeps_its_locks_for_a_bounded_time(
    desk: Desk, proxy: SwallowingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "IDLE_IN_TRANSACTION_S", 1)
    url = desk.db.engine.url.set(host="127.0.0.1", port=proxy.port, query={})
    far = Database(url.render_as_string(hide_password=False))
    lock = text("SELECT 1 FROM leases WHERE connection_id = :c FOR UPDATE")

    cut = far.engine.connect()
    cut.execute(lock, {"c": desk.connection_id})
    proxy.swallow()

    with desk.db.begin() as connection:
        assert connection.execute(lock, {"c": desk.connection_id}).scalar_one() == 1
    cut.invalidate()
    far.close()


def test_a_lease_row_that_somebody_holds_locked_keeps_no_thread(desk: Desk) -> None:
    desk.execute("UPDATE leases SET expires_at = now() - interval '1 second' WHERE connection_id = :c")
    with desk.db.begin() as hanging:
        leases.lock(hanging, [desk.connection_id])

        with desk.db.begin() as connection:
            assert leases.acquire(connection, desk.connection_id, desk.run_id, "another", 30.0) is None

    assert desk.one("SELECT current_setting('lock_timeout') AS bound") == {"bound": f"{engine.LOCK_TIMEOUT_S}s"}


@pytest.mark.parametrize(
    "setting",
    [
        "idle_in_transaction_session_timeout",
        "statement_timeout",
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_keepalives_count",
        "tcp_user_timeout",
    ],
)
def test_the_server_is_told_its_bounds_by_the_client(desk: Desk, setting: str) -> None:
    # A server shows the bounds of TCP as 0 on a socket of its own machine, but where they come from.
    found = desk.one("SELECT source FROM pg_settings WHERE name = :name", name=setting)

    assert found == {"source": "client"}


def test_a_transaction_that_an_owner_reads_from_may_be_slow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk.db.begin() as connection:
        list(record_views.records(connection, desk.connection_id, "items", deleted=False))

        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "0"
