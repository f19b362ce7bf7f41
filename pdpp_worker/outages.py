"""Outages of servers: one sentence when one begins, and one when it is over."""

from __future__ import annotations

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

    def began(self, why: str) -> None:
        """Note that it is out of reach; said once, however many find out."""
        with self._lock:
            known, self._since = self._since is not None, self._since or time.monotonic()
        if not known:
            get_logger().warning(self._begins, why=why)

    def over(self) -> None:
        """Note that it answers; said once after an outage."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            get_logger().warning(self._ends, after_s=round(time.monotonic() - since))


DATABASE = Outage("PostgreSQL")
BROKER = Outage("the broker")
PACING = Outage("the pacing server")
SCHEMA = Outage("the database schema", "does not fit this version", "fits again")
