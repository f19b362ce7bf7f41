"""Connections that give up a server which has fallen silent.

A statement may take long, so no fixed time tells a busy server from a dead one. TCP tells them apart only where packets
are lost: a frozen server, or a proxy that swallows what it is sent, still acknowledges every packet. So after a while
of silence the server is asked, over a second connection, whether it still works on the statement.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from socket import AF_UNIX, SO_SNDBUF, SOL_SOCKET, socket
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import OperationalError

SILENCE_S = 10.0
"""A wait for the server that is longer than this is looked into, in seconds."""
ANSWER_S = 5.0
"""The time that the server has for each answer when it is asked whether it still works, in seconds."""

_IS_AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
_OWN_PID = "SELECT pg_backend_pid()"

WAITING_BYTES = 1024 * 1024
"""Bytes that a server of this machine may be sent before it reads them; the system may allow fewer."""

T = TypeVar("T")


class _Question(psycopg.Connection[Any]):
    """A connection on which no answer is waited for longer than `ANSWER_S`."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        return super().wait(gen, interval, ANSWER_S if timeout is None else min(timeout, ANSWER_S))


def widen(number: int) -> None:
    """Let a socket of this machine take in more, so that COPY's next block is made while the server works.

    The system widens one of TCP by itself, and no more once it was told a size.
    """
    with socket(fileno=os.dup(number)) as ours:
        if ours.family == AF_UNIX:
            ours.setsockopt(SOL_SOCKET, SO_SNDBUF, WAITING_BYTES)


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that is closed, with an OperationalError, when the server no longer works on its statement."""

    parameters: dict[str, Any]
    """How to connect once more."""
    is_pooled: bool = False
    """Whether a pooler hands each transaction to another session."""
    while_it_waits: Callable[[], AbstractContextManager[None]] = nullcontext
    """Made and entered for each wait for the server."""

    @classmethod
    def open(cls, parameters: dict[str, Any]) -> WatchedConnection:
        """Connect with these parameters of libpq and psycopg."""
        connection = cls.connect(**parameters)
        connection.parameters = parameters
        widen(connection.pgconn.socket)
        return connection

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait as psycopg does; every `SILENCE_S` without a sign of the server it is asked whether it still works.

        Raises:
            psycopg.OperationalError: it does not, or cannot be asked; the connection is closed.
        """
        with self.while_it_waits():
            return super().wait(self._watched(gen), interval, timeout)

    def _watched(self, gen: PQGen[T]) -> Generator[Any, Any, T]:
        ask_at = monotonic() + SILENCE_S
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    ask_at = monotonic() + SILENCE_S
                elif monotonic() >= ask_at:
                    self._require_work()
                    ask_at = monotonic() + SILENCE_S
                wanted = gen.send(ready)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _require_work(self) -> None:
        # It may have ended its work while it was asked: what it said of it is here then.
        if not self._is_at_work() and not self._has_answered():
            self.pgconn.finish()
            raise OperationalError(f"PostgreSQL has not answered for {SILENCE_S:g} s and no longer works on it")

    def _has_answered(self) -> bool:
        poller = select.poll()
        poller.register(self.pgconn.socket, select.POLLIN)
        return bool(poller.poll(0))

    def _is_at_work(self) -> bool:
        pid = self.pgconn.backend_pid
        try:
            with _Question.connect(**self.parameters, autocommit=True) as question:
                own = question.execute(_OWN_PID).fetchone()
                if own != (question.pgconn.backend_pid,):
                    # Behind a pooler the number is the pooler's; that somebody answers has to do.
                    return True
                return question.execute(_IS_AT_WORK, (pid,)).fetchone() == (1,)
        except psycopg.Error:
            return False
