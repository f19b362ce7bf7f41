"""The runs at which threads of this process work, and those whose thread cannot be freed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pdpp_worker import metrics


class LiveRuns:
    """One thread for each run: a second one would wait for the same thing as the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[int] = set()
        self._stuck: set[int] = set()

    @contextmanager
    def entered(self, run_id: int) -> Iterator[bool]:
        """Work at a run inside the block; False where a thread still does, which is then left alone."""
        with self._lock:
            free = run_id not in self._live
            self._live.add(run_id)
        try:
            yield free
        finally:
            if free:
                self._leave(run_id)

    def note_stuck(self, run_id: int) -> None:
        """Note that the thread of this run does not come back: its lease has run out meanwhile."""
        with self._lock:
            self._stuck |= {run_id} & self._live
            metrics.STUCK_THREADS.set(len(self._stuck))

    @property
    def live(self) -> list[int]:
        """The runs at which a thread works."""
        return sorted(self._live)

    @property
    def stuck(self) -> list[int]:
        """The runs whose thread does not come back."""
        return sorted(self._stuck)

    def _leave(self, run_id: int) -> None:
        with self._lock:
            self._live.discard(run_id)
            self._stuck.discard(run_id)
            metrics.STUCK_THREADS.set(len(self._stuck))
