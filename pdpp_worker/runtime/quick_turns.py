"""Lets the interpreter change hands at once while a commit is under way beside its connector.

A commit has some dozen steps, and waits for the interpreter before each. At Python's own 5 ms they would take longer
than the next batch. A connector that reads a file lets go of the interpreter for a moment every 0.2 ms, which restarts
this wait and frees nobody: a longer wait than that would never come to its end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_QUICK_S = 0.000001


class QuickTurns:
    """The commits that are under way in this process; after the last one the interpreter changes hands as before."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._commits = 0
        self._usual_s = sys.getswitchinterval()

    @contextmanager
    def for_a_commit(self) -> Iterator[None]:
        """Inside the block a commit is under way."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._counting:
            self._commits += change
            sys.setswitchinterval(_QUICK_S if self._commits else self._usual_s)


QUICK_TURNS = QuickTurns()
