"""Looks for runs whose worker is gone at the instant at which a lease runs out, and not all the time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import partial

from pdpp_worker.tasks.delayed import Call

CallLater = Callable[[Call, float], object]
"""Makes a call after so many seconds."""


class Takeover:
    """Keeps one look planned while leases are held. Beat lets it begin anew, since its plan dies with the process."""

    def __init__(self, take_over: Callable[[], float | None], later: CallLater) -> None:
        """`take_over` takes over what is abandoned now; returns the seconds until the next look."""
        self._take_over = take_over
        self._later = later
        self._planned_at = math.inf
        self._lock = threading.Lock()

    def look(self) -> None:
        """Take over what is abandoned now, and plan the next look."""
        next_s = self._take_over()
        if next_s is None:
            return
        at = time.monotonic() + next_s
        with self._lock:
            is_earlier = at < self._planned_at
            self._planned_at = min(at, self._planned_at)
        if is_earlier:
            self._later(partial(self._look_as_planned, at), next_s)

    def _look_as_planned(self, at: float) -> None:
        """Look, unless an earlier instant was planned since."""
        with self._lock:
            if at != self._planned_at:
                return
            self._planned_at = math.inf
        self.look()
