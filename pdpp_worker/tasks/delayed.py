"""Calls functions later, such as one that tells workers of a paused run at the instant at which it goes on.

The calls are held in memory. A worker that ends forgets them; what they would have done, the ticks of beat do later.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

Call = Callable[[], object]


class DelayedCalls:
    """One thread that makes each call at its instant."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, int, Call]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def schedule(self, call: Call, pause_s: float) -> None:
        """Call this in `pause_s`."""
        with self._changed:
            heapq.heappush(self._calls, (time.monotonic() + pause_s, next(self._order), call))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="delayed-calls", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            call = self._next()
            try:
                call()
            except Exception:  # a tick of beat does this; the other calls must not pay for it
                logger.exception("a delayed call failed")

    def _next(self) -> Call:
        with self._changed:
            while (left_s := self._left_s()) is None or left_s > 0:
                self._changed.wait(left_s)
            return heapq.heappop(self._calls)[2]

    def _left_s(self) -> float | None:
        return self._calls[0][0] - time.monotonic() if self._calls else None
