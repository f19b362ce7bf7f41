"""Lets a commit compute before the thread that makes the next batch.

Both need the interpreter, which changes hands at a price, and it is the commit that the other one will wait for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar, cast

from sqlalchemy import Connection

from pdpp_worker.store.silence import WatchedConnection

T = TypeVar("T")


class Precedence:
    """The right of one commit to compute first; the other thread goes on while the commit waits for the server."""

    def __init__(self) -> None:
        self._computing = threading.Lock()

    def give_way(self) -> None:
        """Wait until the commit waits for the server or has ended: some ms."""
        if self._computing.locked():
            with self._computing:
                pass

    def of(self, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """The same work, which computes first but for the waits on its connection."""

        def first(connection: Connection) -> T:
            driver = cast(WatchedConnection, connection.connection.driver_connection)
            driver.while_it_waits = self._lent
            try:
                with self._computing:
                    return work(connection)
            finally:
                driver.while_it_waits = nullcontext

        return first

    @contextmanager
    def _lent(self) -> Iterator[None]:
        self._computing.release()
        try:
            yield
        finally:
            self._computing.acquire()
