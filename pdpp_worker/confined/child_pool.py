"""Children of one kind: started when they are needed, and kept for the next job.

Only the first one waits for a process to start. A child is lent to one thread at a time.
"""

from __future__ import annotations

import atexit
import os
import threading

from pdpp_worker.confined.parser_child import Child, ConfinedError

MOST_IDLE = 4
"""Children that wait for the next job; they end by themselves after a while."""


class ChildPool:
    """Children that all call one function, "module:function", at most `most` of them at a time."""

    def __init__(self, function: str, *, memory_bytes: int, cpu_s: float, wall_s: float, most: int) -> None:
        # The parser is named, not imported: the worker never loads it.
        self._kind = (function, memory_bytes, cpu_s)
        self.wall_s = wall_s
        self._most = most
        self._begin()
        atexit.register(self.close)

    def take(self, patience_s: float | None = None) -> Child:
        """Lend a child; where all are lent, it waits, without end or for some seconds.

        Raises:
            ConfinedError: none came back in that time.
        """
        if self._pid != os.getpid():  # the children of the process that this one was forked from
            self._begin()
        if not self._places.acquire(timeout=patience_s):
            raise ConfinedError("too many files are being read at once")
        try:
            while self._idle:
                child = self._idle.pop()
                if child.is_running:
                    return child
                child.end()
            return Child(*self._kind)
        except BaseException:
            self._places.release()
            raise

    def give_back(self, child: Child) -> None:
        """Take back a child, be it that it was ended."""
        if child.is_running and len(self._idle) < MOST_IDLE:
            self._idle.append(child)
        else:
            child.end()
        self._places.release()

    def close(self) -> None:
        """End the children that wait for a job."""
        while self._pid == os.getpid() and self._idle:
            self._idle.pop().end()

    def _begin(self) -> None:
        self._idle: list[Child] = []
        self._places = threading.BoundedSemaphore(self._most)
        self._pid = os.getpid()
