"""Ends a worker within a bound, and ends one whose threads cannot be freed: its supervisor starts another."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import psutil
from celery.signals import celeryd_init, worker_shutting_down
from celery.worker.control import inspect_command

from pdpp_worker.logs import get_logger
from pdpp_worker.pacing.in_flight import in_flight
from pdpp_worker.tasks.live_runs import LiveRuns

STOP_S = 20.0
"""Time that the tasks at work have to end by themselves, s. Every supervisor has more patience than that."""
ANSWER_S = 2.0
"""Time that the answers have which are waited for, s; then their slices end with what they have."""

live_runs = LiveRuns()
_main_pid = 0


def replace_worker(run_id: int) -> None:
    """End this worker, because the thread of a run does not come back; the work of the others is committed first.

    A process of a pool has nothing else to do, so it ends at once, and the pool starts another.
    """
    live_runs.note_stuck(run_id)
    get_logger().error("a thread cannot be freed: this worker ends, and its supervisor starts another", run=run_id)
    if os.getpid() == _main_pid:
        os.kill(_main_pid, signal.SIGTERM)
    elif _main_pid:
        _end_at_once()


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _remember_main(**_: object) -> None:
    global _main_pid  # noqa: PLW0603 - forked children compare their own with it
    _main_pid = os.getpid()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _bound_the_end(**_: object) -> None:
    threading.Thread(target=_end_when_late, name="end-when-late", daemon=True).start()


def _end_when_late() -> None:
    time.sleep(ANSWER_S)
    in_flight.cut()
    time.sleep(STOP_S - ANSWER_S)
    get_logger().error("the worker did not end in time, so it is ended", after_s=STOP_S, runs=live_runs.live)
    _end_at_once()


def _end_at_once() -> None:
    """End this process and its children; others begin anew at the last commit."""
    try:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it may have ended meanwhile
                child.kill()
        sys.stderr.flush()
    finally:
        os._exit(1)


@inspect_command()  # type: ignore[untyped-decorator]
def stuck_runs(_state: Any) -> list[int]:
    """The runs whose thread in this worker does not come back."""
    return live_runs.stuck
