"""Permits to work: of the many slices of a process only some work at once, and the others wait.

A thread that waits for a permit takes no processor time, whereas hundreds that want to run keep each other from it. A
slice gives its permit back while it waits for the turn of a request or for an answer, unless it holds a process beside
its thread, as a command or a browser: then the number of processes is what has to be bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.connection_values import with_defaults
from pdpp_worker.store.engine import POOL_SIZE

AT_WORK = POOL_SIZE
"""Slices that work at once: none of them waits for a connection to the database."""
PATIENCE_S = 5.0
"""A slice that has waited so long for a permit that it gave back goes on without one."""
WITH_PROCESSES = 16
"""Slices with a process of their own at once: each process takes from 30 MB to 300 MB."""


def holds_process(manifest: Manifest, given: Mapping[str, Any]) -> bool:
    """Whether a connection with these settings is collected by a process of its own."""
    return manifest.command is not None or with_defaults(manifest.settings, given).get("reach") == "browser"


class Permit:
    """The permit of one slice, which one thread works."""

    def __init__(self, free: threading.Semaphore, *, rests: bool) -> None:
        """`rests`: whether it is given back while the slice waits."""
        self._free = free
        self._rests = rests
        self._held = self._is_over = False
        self._ending = threading.Lock()
        self.was_awaited = False
        """Whether none was free when the slice wanted to begin."""

    def __enter__(self) -> Permit:
        self.was_awaited = not self._free.acquire(blocking=False)
        if self.was_awaited:
            self._free.acquire()
        self._held = True
        return self

    def __exit__(self, *_: object) -> None:
        with self._ending:
            self._is_over = True
            self._give_back()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Give the permit back inside the block, and wait for one at its end, for `PATIENCE_S` at most.

        The others may be waiting for a lock that this slice holds: then it goes on without a permit.
        """
        if not self._rests:
            yield
            return
        self._rests = False  # a wait within a wait
        self._give_back()
        try:
            yield
        finally:
            self._held = self._free.acquire(timeout=PATIENCE_S)
            self._rests = True
            with self._ending:
                if self._is_over:  # a thread of the connector's own comes back after the slice
                    self._give_back()

    def _give_back(self) -> None:
        if self._held:
            self._held = False
            self._free.release()


_at_work = threading.BoundedSemaphore(AT_WORK)
_with_processes = threading.BoundedSemaphore(WITH_PROCESSES)


def permit(*, holds_process: bool) -> Permit:
    """A permit for a slice of this process; entering it waits until one is free."""
    return Permit(_with_processes if holds_process else _at_work, rests=not holds_process)
