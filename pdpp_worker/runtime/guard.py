"""The bounds of a slice: its time, its lease, the owner's word and the worker's shutdown, watched while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from pdpp_worker.errors import LeaseLostError, UpstreamError
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.runtime.bounds import Bounds, SliceEnded
from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database

HEARTBEATS_PER_LEASE = 3
STOP_CHECK_S = 0.5


class Guard:
    """Renews the lease in the background and says when the slice must end."""

    def __init__(
        self, db: Database, claim: Claim, *, slice_s: float, silence_s: float, stopping: Callable[[], bool]
    ) -> None:
        self._db = db
        self._claim = claim
        self.bounds = Bounds(slice_s)
        self._silence_s = silence_s
        self._heard_at = time.monotonic()
        self._stopping = stopping
        self._wake = threading.Event()
        self._closed = threading.Event()
        self.lost = False
        self.cancelled = False
        self._thread = threading.Thread(target=self._beat, name=f"lease-{claim.run_id}", daemon=True)

    def __enter__(self) -> Guard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._wake.set()
        self._thread.join()

    @property
    def must_stop(self) -> bool:
        """Whether the slice may not go on: lease or budget are gone, the owner cancelled, the worker shuts down."""
        return self.lost or self.cancelled or self._stopping() or self.bounds.is_out_of_budget

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

    def wait_until(self, instant: float, hold: Hold | None) -> None:
        """Wait inside the slice until a monotonic instant (s), at which a hold ends or an interval is over.

        Raises:
            BudgetSpent: the instant lies beyond what is left of the run's budget.
            SliceEnded: the wait is too long, or the slice has to stop while it waits.
        """
        self.bounds.check_wait(instant, hold)
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
