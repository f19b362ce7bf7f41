"""Servers that outlived the supervisor that started them."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from pdpp_worker.errors import PdppError

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1
_STEPS: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 30.0),
    (signal.SIGQUIT, 10.0),
    (signal.SIGKILL, 10.0),
)
"""Signals to send in turn, and seconds that each gets; to PostgreSQL they mean a fast, an immediate and no shutdown."""


def running_in(directory: Path, name: str) -> list[psutil.Process]:
    """The processes called `name` that work in `directory`.

    A process is known by what it is and where it works, never by a number from a file, which may be somebody else's by
    now; psutil likewise refuses to signal a number that has changed hands.
    """
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == name and process.info["cwd"] == str(directory)
    ]


def stop(directory: Path, name: str) -> None:
    """Stop every server called `name` that works in `directory`; returns when none is left.

    Raises:
        PdppError: one of them cannot be stopped.
    """
    for step, timeout_s in _STEPS:
        survivors = running_in(directory, name)
        if not survivors:
            return
        logger.warning("%d %s process(es) left in %s: sending %s", len(survivors), name, directory, step.name)
        for process in survivors if step is signal.SIGKILL else main_of(survivors):
            _send(process, step)
        deadline = time.monotonic() + timeout_s
        while running_in(directory, name) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
    if running_in(directory, name):
        raise PdppError(f"A {name} process in {directory} does not end, not even when it is killed.")


def main_of(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Leave out the children of others: PostgreSQL's end with it, and signals mean other things to them."""
    pids = {process.pid for process in processes}
    return [process for process in processes if not _is_child(process, pids)]


def _is_child(process: psutil.Process, pids: set[int]) -> bool:
    """Return whether it has the title of a child, which an orphan keeps, or a parent among them, as a new one has."""
    try:
        return process.cmdline()[0].startswith("postgres: ") or process.ppid() in pids
    except (psutil.Error, IndexError):
        return True


def _send(process: psutil.Process, step: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(step)
