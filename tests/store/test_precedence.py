"""A commit computes before the thread that makes the next batch, which goes on while the commit waits."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from sqlalchemy import Connection, text

from pdpp_worker.store.engine import Database
from pdpp_worker.store.precedence import Precedence
from tests.support.waiting import until

_ONE = text("SELECT 1")
_LOCK, _UNLOCK = text("SELECT pg_advisory_lock(7)"), text("SELECT pg_advisory_unlock(7)")


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Begin work in a thread of its own, which ends with the test process at the latest."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_the_other_thread_waits_while_the_commit_computes(db: Database) -> None:
    precedence = Precedence()

    def compute(_: Connection) -> threading.Thread:
        other = in_thread(precedence.give_way)
        until(lambda: _is_in(other, "give_way"))
        return other

    other = db.transact(precedence.of(compute))

    other.join()


def test_the_other_thread_goes_on_while_the_commit_waits_for_the_server(db: Database) -> None:
    precedence = Precedence()
    commit = precedence.of(lambda connection: connection.execute(_LOCK))

    with db.begin() as elsewhere:
        elsewhere.execute(_LOCK)
        committing = in_thread(lambda: db.transact(commit))
        until(lambda: _waits_for_a_lock(elsewhere))
        precedence.give_way()
        goes_on = committing.is_alive()
        elsewhere.execute(_UNLOCK)
    committing.join()

    assert goes_on


def test_a_connection_that_comes_back_to_the_pool_has_no_precedence(db: Database) -> None:
    db.transact(Precedence().of(lambda connection: connection.execute(_ONE).scalar_one()))

    assert db.transact(lambda connection: connection.execute(_ONE).scalar_one()) == 1


def _is_in(thread: threading.Thread, function: str) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == function


def _waits_for_a_lock(connection: Connection) -> bool:
    asked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return bool(connection.execute(asked).scalar_one() == 1)
