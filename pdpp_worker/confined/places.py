"""Places for processes beside a worker's, shared by all workers that were forked from one process."""

from __future__ import annotations

import os
import tempfile
import threading
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf


class Places:
    """At most so many places are taken at a time. A worker that dies gives back its own."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._file = _file_in_memory()
        """Each of its bytes is locked by the process that has the place."""
        self._taking = threading.Lock()
        self._taken: set[tuple[int, int]] = set()
        """Processes and their places: a process that locks its own byte once more is not refused."""

    def take(self) -> int | None:
        """A place that is free, if there is one."""
        with self._taking:
            return next(filter(self._takes, range(self._most)), None)

    def give_back(self, place: int) -> None:
        """Let the place be another's."""
        with self._taking:
            self._taken.discard((os.getpid(), place))
            lockf(self._file, LOCK_UN, 1, place)

    def _takes(self, place: int) -> bool:
        own = os.getpid(), place
        if own in self._taken:
            return False
        try:
            lockf(self._file, LOCK_EX | LOCK_NB, 1, place)
        except OSError:
            return False
        self._taken.add(own)
        return True


def idle_processors() -> int:
    """The processors of this process that are left where as many workers work as processes beside them."""
    own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len(own) // 2


def _file_in_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("places")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
