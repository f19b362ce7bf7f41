"""The bounds of a slice: its time, its lease, the owner's word and the worker's shutdown, watched while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import DBAPIError

from pdpp_worker.errors import LeaseLostError
from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database

HEARTBEATS_PER_LEASE = 3
STOP_CHECK_S = 0.5


class SliceEnded(BaseException):  # noqa: N818 - not an error
    """The slice is over and its place is kept; `resume_at` is when it is worth going on (None: at once).

    Not an Exception, so that a connector's `except Exception` cannot swallow it.
    """

    def __init__(self, resume_at: datetime | None = None) -> None:
        super().__init__("the slice is over")
        self.resume_at = resume_at


class Guard:
    """Renews the lease in the background and says when the slice must end."""

    def __init__(
        self, db: Database, claim: Claim, *, slice_s: float, grace_s: float, stopping: Callable[[], bool]
    ) -> None:
        self._db = db
        self._claim = claim
        self._deadline = time.monotonic() + slice_s
        self._hung_at = self._deadline + grace_s
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
    def over(self) -> bool:
        """Whether the slice should end now."""
        return time.monotonic() >= self._deadline or self.lost or self.cancelled or self._stopping()

    def note_cancel(self, requested: bool) -> None:
        """The owner's word, as a commit has read it."""
        self.cancelled = self.cancelled or requested

    def check(self) -> None:
        """End the slice if it is over.

        Raises:
            SliceEnded: it is.
        """
        if self.over:
            raise SliceEnded

    def wait_until(self, instant: float, resume_at: datetime) -> None:
        """Wait until a monotonic instant (s), inside the slice.

        Raises:
            SliceEnded: the instant lies beyond the slice, or the slice ended while waiting.
        """
        self.check()
        if instant >= self._deadline:
            raise SliceEnded(resume_at)
        while (left := instant - time.monotonic()) > 0:
            self._wake.wait(min(left, STOP_CHECK_S))
            self.check()

    def _beat(self) -> None:
        # A connector that hangs beyond the grace loses its lease, so that it costs one slot and not its connection.
        while not self._closed.wait(self._claim.lease_s / HEARTBEATS_PER_LEASE):
            if time.monotonic() >= self._hung_at:
                return
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
