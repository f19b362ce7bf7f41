"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

Found = TypeVar("Found")

PATIENCE_S = 180.0
"""The bound on every wait. A busy machine brings what is waited for late; only what never comes takes so long."""
_LOOK_EVERY_S = 0.02


class Process(Protocol):
    """Something that can be asked whether it has ended."""

    def poll(self) -> int | None:
        """Its status, or None while it runs."""
        ...


def until(condition: Callable[[], Found], *needed: Process) -> Found:
    """Wait for a condition to hold that the `needed` processes have to bring about; returns what it returned.

    Raises AssertionError when one of them has ended and the condition does not hold, and after `PATIENCE_S` seconds.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        ended = [process for process in needed if process.poll() is not None]
        if found := condition():
            return found
        assert not ended, f"Not so, and nothing will change it: {ended} ended"
        assert time.monotonic() < deadline, f"Still not so after {PATIENCE_S:.0f} s: {condition}"
        time.sleep(_LOOK_EVERY_S)
