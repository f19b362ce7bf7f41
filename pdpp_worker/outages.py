"""Outages of servers: one sentence when one begins, and one when it is over."""

from __future__ import annotations

import math
import threading
import time

from pdpp_worker.logs import get_logger


class Outage:
    """One server, as this process sees it."""

    def __init__(self, what: str, begins: str = "cannot be reached", ends: str = "answers again") -> None:
        self._begins = f"{what} {begins}"
        self._ends = f"{what} {ends}"
        self._lock = threading.Lock()
        self._since: float | None = None
        self._over_at = 0.0

    def began(self, why: str, asked_at: float = math.inf) -> None:
        """Note that it is out of reach; said once, however many find out.

        `asked_at`: the time at which the one who found out had begun; monotonic, s. Before the end of an outage, it was
        that one: who hangs in it finds out long after.
        """
        with self._lock:
            known = self._since is not None or asked_at < self._over_at
            if not known:
                self._since = time.monotonic()
        if not known:
            get_logger().warning(self._begins, why=why)

    def over(self) -> None:
        """Note that it answers; said once after an outage."""
        if self._since is None:
            return
        with self._lock:
            since, self._since, self._over_at = self._since, None, time.monotonic()
        if since is not None:
            get_logger().warning(self._ends, after_s=round(time.monotonic() - since))


DATABASE = Outage("PostgreSQL")
BROKER = Outage("the broker")
PACING = Outage("the pacing server")
SCHEMA = Outage("the database schema", "does not fit this version", "fits again")
