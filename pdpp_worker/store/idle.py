"""Closes connections that nobody has used for a while: each of them is a process of the server."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from psycopg import Connection
from psycopg import Error as PostgresError
from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, event
from sqlalchemy.exc import SQLAlchemyError

from pdpp_worker.errors import PdppError

IDLE_S = 3.5
"""How long the connections of a process stay open when none of them is used, s: longer than between two looks of the
dispatcher for abandoned runs, which would connect anew for each."""


class IdleCloser:
    """Closes the connections of an engine that was not used for `IDLE_S`; a thread of its own waits for that."""

    def __init__(self, engine: Engine, idle_s: float = IDLE_S) -> None:
        self._engine = engine
        self._idle_s = idle_s
        self._used_at = 0.0
        self._lock = threading.Lock()
        self._is_waiting = False
        self._made: WeakSet[Connection[Any]] = WeakSet()
        event.listen(engine, "connect", self._note_made)
        event.listen(engine, "checkin", self._note)
        os.register_at_fork(after_in_child=self._forget)

    def _note_made(self, made: Connection[Any], _: object) -> None:
        with self._lock:
            self._made.add(made)

    def _note(self, *_: object) -> None:
        self._used_at = time.monotonic()
        if self._is_waiting:
            return
        with self._lock:
            if not self._is_waiting:
                self._is_waiting = True
                threading.Thread(target=self._wait, name="idle-closer", daemon=True).start()

    def _wait(self) -> None:
        while (left_s := self._used_at + self._idle_s - time.monotonic()) > 0:
            time.sleep(left_s)
        self._is_waiting = False
        self._close_idle()

    def _close_idle(self) -> None:
        """Take each idle connection out of the pool and close it; those in use stay, as if this had not been.

        Where the server is away they are gone with it: the pool looks at each, and whoever needs one tells of that.
        """
        idle: list[PoolProxiedConnection] = []
        with suppress(SQLAlchemyError, PostgresError, PdppError):
            # All of them before one is closed: a place in the pool without a connection would be given a new one.
            idle += (self._engine.raw_connection() for _ in range(self._count_idle()))
        for one in idle:
            one.detach()
            one.close()

    def _count_idle(self) -> int:
        pool = self._engine.pool
        with self._lock:
            is_open = sum(not made.closed for made in self._made)
        return min(is_open - pool.checkedout(), pool.checkedin()) if isinstance(pool, QueuePool) else 0

    def _forget(self) -> None:
        self._lock, self._is_waiting, self._made = threading.Lock(), False, WeakSet()
