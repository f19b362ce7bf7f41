"""Rings for runs that pause, at the instant at which they go on.

The bells are held in memory. What is forgotten with a worker that ends is found by the dispatcher within its period.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from pdpp_worker.store.runs import Ring

logger = logging.getLogger(__name__)


class Alarm:
    """One thread that rings every bell when its pause is over."""

    def __init__(self, ring: Callable[[Ring], object]) -> None:
        self._ring = ring
        self._set: list[tuple[float, int, Ring]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def set(self, bell: Ring, pause_s: float) -> None:
        """Ring this bell in `pause_s`."""
        with self._changed:
            heapq.heappush(self._set, (time.monotonic() + pause_s, next(self._order), bell))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="alarm", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            bell = self._next()
            try:
                self._ring(bell)
            except Exception:  # a bell that is not rung costs time, the others must not pay for it
                logger.exception("bell not rung for run %s", bell.run_id)

    def _next(self) -> Ring:
        with self._changed:
            while (left_s := self._left_s()) is None or left_s > 0:
                self._changed.wait(left_s)
            return heapq.heappop(self._set)[2]

    def _left_s(self) -> float | None:
        return self._set[0][0] - time.monotonic() if self._set else None
