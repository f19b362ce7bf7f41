"""The lease of one slice as its threads see it: lost, cancelled, to be ended; and when its connector was last heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from pdpp_worker.runtime.permits import Permit
from pdpp_worker.runtime.renewals import HEARTBEATS_PER_LEASE, renewals
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database
from pdpp_worker.store.run_parked import Parked


def never() -> bool:
    """Never ask to stop."""
    return False


class Heartbeat:
    """Lets the lease be renewed while its block runs, and reads the owner's request to cancel.

    While a connector is idle for too long the lease is not renewed and runs out: it costs one thread of a worker, and
    not its connection. A connector that speaks again finds out whether another worker holds the lease by then;
    `on_stuck` is called, in the thread of the renewals, for one that has not spoken when its lease has run out. A
    connector that waits for the turn of a request is not idle.
    """

    def __init__(
        self,
        db: Database,
        claim: Claim,
        *,
        idle_timeout_s: float,
        on_stuck: Callable[[], None] = lambda: None,
        stopping: Callable[[], bool] = never,
        permit: Permit | None = None,
    ) -> None:
        self.db = db
        self.claim = claim
        self.idle_timeout_s = self._usual_s = idle_timeout_s
        self._on_stuck = on_stuck
        self._stopping = stopping
        self._permit = permit
        self._is_stuck = self._waits_to_work = False
        self.is_parked = False
        """Whether the connector waits for the turn of a request."""
        self._parking = threading.Lock()
        self._heard_at = time.monotonic()
        self._due_at = self._heard_at + claim.lease_s / HEARTBEATS_PER_LEASE
        self._wake = threading.Event()
        self.lost = False
        """Whether another worker holds the lease."""
        self.cancelled = False
        """Whether the owner has asked the run to stop."""
        self.ended = False
        """Whether the slice was ended while it waited, and its lease given back: it writes nothing any more."""
        self.as_parked: Callable[[], Parked | None] = lambda: None
        """The slice as it waits; None: its end is more than giving the lease back."""

    def __enter__(self) -> Heartbeat:
        renewals.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        renewals.discard(self)

    @property
    def is_idle(self) -> bool:
        """Whether the connector has shown no sign of life for too long."""
        waits = self.is_parked or self._waits_to_work
        return not waits and time.monotonic() - self._heard_at >= self.idle_timeout_s

    @property
    def is_stopping(self) -> bool:
        """Whether the worker shuts down."""
        return self._stopping()

    @property
    def is_due(self) -> bool:
        """Whether the lease is to be renewed now."""
        return not self.lost and not self.is_idle and time.monotonic() >= self._due_at

    def allow_idle(self, seconds: float) -> None:
        """Let the connector be idle for so long, where that is more than usual."""
        self.idle_timeout_s = max(seconds, self._usual_s)

    def touch(self) -> float:
        """Note a sign of life of the connector; returns when it was, monotonic s."""
        self._heard_at = time.monotonic()
        return self._heard_at

    def note_renewed(self) -> None:
        """The lease was renewed just now."""
        self._due_at = time.monotonic() + self.claim.lease_s / HEARTBEATS_PER_LEASE

    def note_lost(self) -> None:
        """Note that another worker holds the lease."""
        self.lost = True
        self._wake.set()

    def note_cancel(self, requested: bool) -> None:
        """Note the owner's request, as a commit or the renewals have read it."""
        if requested:
            self.cancelled = True
            self._wake.set()

    @contextmanager
    def parked(self) -> Iterator[None]:
        """Inside the block the connector waits for the turn of a request, which is a sign of life."""
        self.is_parked = True
        try:
            with self.resting():
                yield
        finally:
            with self._parking:
                self.is_parked = False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Inside the block the slice needs no permit to work; to wait for one at its end is no silence."""
        try:
            with nullcontext() if self._permit is None else self._permit.resting():
                try:
                    yield
                finally:
                    self._waits_to_work = True
        finally:
            self.touch()
            self._waits_to_work = False

    @contextmanager
    def seized(self) -> Iterator[Parked | None]:
        """Keep the slice waiting inside the block, so that it can be ended; None: it does not wait, or has to act."""
        with self._parking:
            yield self.as_parked() if self.is_parked and not self.lost and not self.ended else None

    def end(self) -> None:
        """The slice was ended by another thread."""
        self.ended = True

    def wait(self, seconds: float) -> None:
        """Wait, or until the lease is lost, the owner cancels, or the worker shuts down."""
        self._wake.wait(seconds)

    def look(self) -> None:
        """Notice a worker that shuts down, and a connector that does not come back."""
        if self.is_stopping:
            self._wake.set()
        idle_s = time.monotonic() - self._heard_at
        if not self._is_stuck and self.is_idle and idle_s >= self.idle_timeout_s + self.claim.lease_s:
            self._is_stuck = True
            self._on_stuck()
