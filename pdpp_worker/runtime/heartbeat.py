"""Renews the lease of a slice in a thread, for as long as its connector shows signs of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from pdpp_worker.errors import LeaseLostError
from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database

HEARTBEATS_PER_LEASE = 3


class Heartbeat:
    """Renews the lease while its block runs, and reads the owner's request to cancel.

    While a connector is idle for too long the lease is not renewed and runs out: it costs one slot of a worker, and not
    its connection. A connector that speaks again finds out whether another worker holds the lease by then; `on_stuck`
    is called, in the heartbeat's thread, for one that has not spoken when its lease has run out.
    """

    def __init__(
        self, db: Database, claim: Claim, *, idle_timeout_s: float, on_stuck: Callable[[], None] = lambda: None
    ) -> None:
        self._db = db
        self._claim = claim
        self.idle_timeout_s = self._usual_s = idle_timeout_s
        self._on_stuck = on_stuck
        self._is_stuck = False
        self._heard_at = time.monotonic()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self.lost = False
        """Whether another worker holds the lease."""
        self.cancelled = False
        """Whether the owner has asked the run to stop."""
        self._thread = threading.Thread(target=self._work, name=f"lease-{claim.run_id}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._wake.set()
        self._thread.join()

    @property
    def is_idle(self) -> bool:
        """Whether the connector has shown no sign of life for too long."""
        return time.monotonic() - self._heard_at >= self.idle_timeout_s

    def allow_idle(self, seconds: float) -> None:
        """Let the connector be idle for so long, where that is more than usual."""
        self.idle_timeout_s = max(seconds, self._usual_s)

    def touch(self) -> None:
        """Note a sign of life of the connector."""
        self._heard_at = time.monotonic()

    def note_cancel(self, requested: bool) -> None:
        """Note the owner's request, as a commit has read it."""
        self.cancelled = self.cancelled or requested

    def wait(self, seconds: float) -> None:
        """Wait, or until the lease is lost or the owner cancels."""
        self._wake.wait(seconds)

    def _work(self) -> None:
        while not self._closed.wait(self._claim.lease_s / HEARTBEATS_PER_LEASE):
            if self.is_idle:
                self._notice_if_stuck()
            elif not self.lost:
                self._renew()
            if self.lost or self.cancelled:
                self._wake.set()

    def _notice_if_stuck(self) -> None:
        idle_s = time.monotonic() - self._heard_at
        if not self._is_stuck and idle_s >= self.idle_timeout_s + self._claim.lease_s:
            self._is_stuck = True
            self._on_stuck()

    def _renew(self) -> None:
        try:
            with self._db.begin() as connection:
                self.note_cancel(leases.renew(connection, self._claim))
        except LeaseLostError:
            self.lost = True
        except SQLAlchemyError:  # the pool's own too, where no connection comes free; the next heartbeat tries again
            return
