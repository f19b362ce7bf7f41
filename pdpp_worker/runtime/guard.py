"""The bounds of a slice: its time, its lease, the owner's word and the worker's shutdown, watched while it works."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import DBAPIError

from pdpp_worker.errors import LeaseLostError, UpstreamError
from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database

HEARTBEATS_PER_LEASE = 3
STOP_CHECK_S = 0.5


class SliceEnded(BaseException):
    """The slice is over and its place is kept; `resume_at` is when it is worth going on (None: at once).

    Not an Exception, so that a connector's `except Exception` cannot swallow it.
    """

    def __init__(self, resume_at: datetime | None = None) -> None:
        super().__init__("the slice is over")
        self.resume_at = resume_at


class BudgetSpent(SliceEnded):
    """What the run may spend in this phase is spent."""


class Guard:
    """Renews the lease in the background and says when the slice must end."""

    def __init__(
        self, db: Database, claim: Claim, *, slice_s: float, silence_s: float, stopping: Callable[[], bool]
    ) -> None:
        self._db = db
        self._claim = claim
        self._slice_s = slice_s
        self._deadline = time.monotonic() + slice_s
        self._allowed_until = math.inf
        self._silence_s = silence_s
        self._heard_at = time.monotonic()
        self._stopping = stopping
        self._wake = threading.Event()
        self._closed = threading.Event()
        self.lost = False
        self.cancelled = False
        self.progressed = False
        """Whether the slice has moved its place; its time does not run out before, so that no run turns in circles."""
        self._thread = threading.Thread(target=self._beat, name=f"lease-{claim.run_id}", daemon=True)

    def __enter__(self) -> Guard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._wake.set()
        self._thread.join()

    def allow(self, seconds: float | None) -> None:
        """Bound the slice by what is left of the run's budget, s."""
        self._allowed_until = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def is_out_of_budget(self) -> bool:
        """Whether the run's time is used up."""
        return time.monotonic() >= self._allowed_until

    @property
    def spent(self) -> bool:
        """Whether the slice has had its time."""
        return self.progressed and time.monotonic() >= self._deadline

    @property
    def must_stop(self) -> bool:
        """Whether the slice may not go on: lease or budget are gone, the owner cancelled, the worker shuts down."""
        return self.lost or self.cancelled or self._stopping() or self.is_out_of_budget

    def alive(self) -> None:
        """The connector has shown a sign of life."""
        self._heard_at = time.monotonic()

    def check(self) -> None:
        """For a connector that waits for something else than the pacing.

        Raises:
            SliceEnded: the slice may not go on.
            UpstreamError: the connector has been silent for too long.
        """
        if self.must_stop:
            raise SliceEnded
        if time.monotonic() - self._heard_at >= self._silence_s:
            raise UpstreamError(f"the connector was silent for {self._silence_s:g} s", reason="timed_out")

    def wait_for_owner(self) -> None:
        """For as long as the owner is asked, who may take their time; raises SliceEnded as `check` does."""
        self.alive()
        self.check()

    def note_cancel(self, requested: bool) -> None:
        """The owner's word, as a commit has read it."""
        self.cancelled = self.cancelled or requested

    def wait_until(self, instant: float, resume_at: datetime) -> None:
        """Wait until a monotonic instant (s), inside the slice.

        Raises:
            BudgetSpent: the instant lies beyond what is left of the run's budget.
            SliceEnded: the instant lies beyond the slice, or the slice has to stop while it waits.
        """
        if instant >= self._allowed_until:
            raise BudgetSpent
        too_long = instant - time.monotonic() >= self._slice_s
        if too_long or (self.progressed and instant >= self._deadline):
            raise SliceEnded(resume_at)
        while True:
            if self.must_stop:
                raise SliceEnded
            if (left := instant - time.monotonic()) <= 0:
                return
            self.alive()
            self._wake.wait(min(left, STOP_CHECK_S))

    def _beat(self) -> None:
        # While a connector is silent for long its lease runs out, so that it costs one slot and not its connection; one
        # that speaks again finds out whether another worker has it by now.
        while not self._closed.wait(self._claim.lease_s / HEARTBEATS_PER_LEASE):
            if time.monotonic() - self._heard_at >= self._silence_s:
                continue
            try:
                with self._db.begin() as connection:
                    self.note_cancel(leases.renew(connection, self._claim))
            except LeaseLostError:
                self.lost = True
            except DBAPIError:
                continue
            if self.lost or self.cancelled:
                self._wake.set()
                return
