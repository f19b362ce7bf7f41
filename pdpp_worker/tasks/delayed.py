"""Tells workers of paused runs at the instant at which they go on.

The pauses are held in memory. A worker that ends forgets them; the dispatcher finds such runs within its period.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from pdpp_worker.store.runs import DueRun

logger = logging.getLogger(__name__)


class DelayedNotifier:
    """One thread that calls `notify` for each run when its pause is over."""

    def __init__(self, notify: Callable[[DueRun], object]) -> None:
        self._notify = notify
        self._paused: list[tuple[float, int, DueRun]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def schedule(self, due: DueRun, pause_s: float) -> None:
        """Notify of this run in `pause_s`."""
        with self._changed:
            heapq.heappush(self._paused, (time.monotonic() + pause_s, next(self._order), due))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="delayed-notifier", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            due = self._next()
            try:
                self._notify(due)
            except Exception:  # the dispatcher finds this run; the others must not pay for it
                logger.exception("workers not told of run %s", due.run_id)

    def _next(self) -> DueRun:
        with self._changed:
            while (left_s := self._left_s()) is None or left_s > 0:
                self._changed.wait(left_s)
            return heapq.heappop(self._paused)[2]

    def _left_s(self) -> float | None:
        return self._paused[0][0] - time.monotonic() if self._paused else None
