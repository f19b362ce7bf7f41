"""Ends what a command left behind when its subreaper was killed, where its user runs other programs too."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

from pdpp_worker.command import lowered_limit

MARK = "PDPP_PROCESS_MARK"
"""The variable with the mark of one command, which every process has from it that does not shed its environment."""
_LONGEST_S = 5.0
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Let this process get what a killed subreaper leaves, whatever that has shed. On Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end(mark: str) -> None:
    """Kill the processes with this mark and those of commands that this process has adopted, and what they start."""
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline and (found := [*_marked(mark), *_adopted()]):
        for process in found:
            try:
                process.kill()
            except psutil.Error:  # it has ended meanwhile
                continue


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):  # it has ended, or is another user's
            continue


def _adopted() -> Iterator[psutil.Process]:
    """Orphans of commands; those that have ended are reaped. A subreaper that lives has its own, and no lower limit."""
    for process in psutil.Process().children():
        if not lowered_limit.is_lower_of(process.pid):
            continue
        with suppress(ChildProcessError):
            if os.waitpid(process.pid, os.WNOHANG)[0] == 0:
                yield process
