"""The database handle: one pool per process, one transaction per piece of work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from pdpp_worker.errors import ServerAwayError
from pdpp_worker.store.idle import IdleClosingPool
from pdpp_worker.store.pooler import Sessions
from pdpp_worker.store.process_names import APPLICATION, process_name
from pdpp_worker.store.silence import WatchedConnection

POOL_SIZE = 10
CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 30
STATEMENT_TIMEOUT_S = 600
IDLE_IN_TRANSACTION_S = 15
"""How long a transaction may do nothing: a host that is cut off in the middle of one keeps its locks no longer."""
WORK_MEM = "16MB"
"""Memory of a sort or of the rows that a trigger counts: those of a full batch go through no file of the server's."""
_SOCKET = {"keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""A peer is given up 14 s after its last packet, or 10 s (in ms) after one that it did not acknowledge."""
TRIES = 10
"""How often a transaction that lost to another one is begun: with the lock timeout, five minutes of waiting at most."""
_LOST = ("40P01", "40001", "55P03")
"""SQLSTATE of a deadlock, of a serialization failure, and of a lock that did not come free in time."""
_AWAY = ("08", "25P03", "53", "57P", "58")
"""Beginnings of SQLSTATE: a connection is lost or refused, a transaction was idle for too long, the server has no disk,
memory or connection left, it ends or starts, its files cannot be read or written."""

T = TypeVar("T")


class Database:
    """A PostgreSQL database.

    A forked child must not use its parent's sockets, so the pool is made anew in every child.
    """

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(
            url,
            poolclass=IdleClosingPool,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE * 2,
            # The connection that was used last, so that those of a busy time are not all opened again one by one.
            pool_use_lifo=True,
            pool_pre_ping=True,
            # An error text goes to a log; the parameters are the owner's data.
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                # A plan that is kept fails once a migration beside running workers changes what it returns; and
                # behind a pooler, where the next transaction may be in another session.
                "prepare_threshold": None,
                **_SOCKET,
            },
        )
        self._sessions = Sessions(self.engine, _session())
        event.listen(self.engine, "do_connect", self._connect)
        os.register_at_fork(after_in_child=lambda: self.engine.dispose(close=False))

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any error."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """A connection for reads that need not see one state; a transaction would cost two round trips more."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction and return what it returns.

        A transaction that lost to another one has written nothing and is begun anew, up to `TRIES` times in all. So
        `work` has to be repeatable: it changes nothing but the database.
        """
        for _ in range(TRIES - 1):
            try:
                with self.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _LOST:
                    raise
        with self.begin() as connection:
            return work(connection)

    def check(self) -> str:
        """The server's version.

        Raises:
            ServerAwayError: the server cannot be reached; says what to look at.
        """
        try:
            with self.begin() as connection:
                return str(connection.execute(text("SHOW server_version")).scalar_one())
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise ServerAwayError(
                f"PostgreSQL cannot be reached: {reason}. "
                "Check PDPP_DATABASE_URL, or unset it to use the embedded server."
            ) from None

    def rest(self) -> None:
        """Close the connections that nobody uses now: this process will need none for a while."""
        if isinstance(self.engine.pool, IdleClosingPool):
            self.engine.pool.close_idle()

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()

    def _connect(self, _: object, __: object, ___: object, parameters: dict[str, Any]) -> WatchedConnection:
        # The name is made here and not with the engine, which a forked child has from its parent.
        return self._sessions.open({**parameters, "application_name": f"{APPLICATION} {process_name()}"})


def why_away(error: BaseException) -> str | None:
    """Why the server cannot be used for a while; None: the error is about something else."""
    if isinstance(error, ServerAwayError | NoConnectionFree):
        return str(error)
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    lost = error.connection_invalidated or (state is None and isinstance(error, OperationalError))
    return str(error.orig).strip().partition("\n")[0] if lost or str(state).startswith(_AWAY) else None


def _session() -> dict[str, str | int]:
    """The server's side of every bound; what ends with the server's own default would hold locks for hours."""
    return {
        "timezone": "UTC",
        "lock_timeout": f"{LOCK_TIMEOUT_S}s",
        "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
        "work_mem": WORK_MEM,
        **{name if name.startswith("tcp") else f"tcp_{name}": value for name, value in _SOCKET.items()},
    }
