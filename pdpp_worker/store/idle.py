"""Closes connections that nobody has used for a while: each of them is a process of the server."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import QueuePool
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util.queue import Empty

IDLE_S = 12.0
"""How long connections stay open that are not used, s: longer than between two ticks of beat, since to open one takes
server and client more than what a tick asks."""


FRESH_S = 1.0
"""A connection that was used so lately is handed out without asking the server for a sign of life, s."""


class IdleClosingPool(QueuePool):
    """A pool that is empty when it was not used for `idle_s`, and keeps one when no two were used at once for so long.

    A thread of its own waits for that. It takes one connection at a time, so nobody waits for what it closes.
    """

    idle_s = IDLE_S

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._used_at = self._crowded_at = 0.0
        self._starting = threading.Lock()
        self._is_waiting = False

    def _do_get(self) -> ConnectionPoolEntry:
        record = super()._do_get()
        if time.monotonic() < record.info.get("fresh_until", 0.0):
            record.fresh = True  # type: ignore[attr-defined]  # as the pool itself says of one that was just opened
        return record

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        is_crowded = self.checkedout() > 1
        record.info["fresh_until"] = time.monotonic() + FRESH_S
        super()._do_return_conn(record)
        self._used_at = time.monotonic()
        if is_crowded:
            self._crowded_at = self._used_at
        if not self._is_waiting:
            self._start_waiting()

    def _start_waiting(self) -> None:
        with self._starting:
            if not self._is_waiting:
                self._is_waiting = True
                threading.Thread(target=self._wait, name="idle-closer", daemon=True).start()

    def _wait(self) -> None:
        while (left_s := self._used_at + self.idle_s - time.monotonic()) > 0:
            if time.monotonic() >= self._crowded_at + self.idle_s:
                self.close_idle(but_one=True)
            time.sleep(left_s)
        self._is_waiting = False
        self.close_idle()

    def close_idle(self, *, but_one: bool = False) -> None:
        """Close the connections that nobody uses now, or all of them but the one that was used last."""
        kept = self._taken() if but_one else None
        while (idle := self._taken()) is not None:
            try:
                idle.close()
            finally:
                self._dec_overflow()
        if kept is not None:
            super()._do_return_conn(kept)

    def _taken(self) -> ConnectionPoolEntry | None:
        with suppress(Empty):
            return self._pool.get(block=False)
        return None
