"""The memory of a process and of those that it starts, watched from a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.alone import own_peak_rss, peak_of

EVERY_S = 0.3
"""The kernel keeps the peak of each process, so that few looks see nearly all of it."""


class Watched:
    """The most that this process's children held at a time."""

    def __init__(self) -> None:
        self._children = 0
        self._over = threading.Event()

    @property
    def peak_rss(self) -> int:
        """The peak of this process, and with it that of its children, bytes."""
        return own_peak_rss() + self._children

    def watch(self) -> None:
        """Look until it is over."""
        while not self._over.wait(EVERY_S):
            held = sum(map(_peak, _below(os.getpid())))
            self._children = max(self._children, held)

    def end(self) -> None:
        """Look no more."""
        self._over.set()


@contextmanager
def watched() -> Iterator[Watched]:
    """Watch this process's children during the block."""
    one = Watched()
    thread = threading.Thread(target=one.watch, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.end()
        thread.join()


def _below(pid: int) -> Iterator[int]:
    """The processes that a process has started, and theirs; Linux lists them by the thread that did it.

    Looking through all processes of the machine for them takes some ms of what is measured.
    """
    for listed in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, listed.read_text().split()):
                yield child
                yield from _below(child)


def _peak(pid: int) -> int:
    with suppress(OSError, StopIteration):
        return peak_of(Path("/proc", str(pid), "status"))
    return 0
