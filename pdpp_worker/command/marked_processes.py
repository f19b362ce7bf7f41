"""Ends what a command left behind when its subreaper was killed, where its user runs other programs too."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

MARK = "PDPP_PROCESS_MARK"
"""The variable with the mark of one command, which every process has from it that does not shed its environment."""
_LONGEST_S = 5.0


def end(mark: str) -> None:
    """Kill the processes with this mark, and those that they start meanwhile."""
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline and (found := list(_marked(mark))):
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
