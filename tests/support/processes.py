"""Processes that may end while a test looks at them."""

from __future__ import annotations

from contextlib import suppress

import psutil


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none of a process that has ended."""
    with suppress(psutil.NoSuchProcess):
        if process.is_running():
            return process.cmdline()
    return []
