"""Beat as a thread of a worker, for a fleet on one machine: `celery worker --with-beat`.

Celery's own `--beat` starts a process for it, which takes as much memory as a worker.
"""

from __future__ import annotations

import os
import signal
from threading import Thread
from typing import Any

from celery import Celery, bootsteps
from celery.beat import Scheduler, Service
from celery.bin.base import CeleryOption

from pdpp_worker.logs import get_logger

_LONGEST_SLEEP_S = 60.0
"""Between two looks at the schedule, s: beat wakes when an entry is due, and does not outlive the worker."""


class BeatInside(bootsteps.StartStopStep):  # type: ignore[misc]
    """Runs beat for as long as the worker lives. Where beat fails the worker ends, and its supervisor starts both."""

    def __init__(self, worker: Any, with_beat: bool = False, **options: Any) -> None:
        super().__init__(worker, **options)
        self.enabled = with_beat

    def create(self, worker: Any) -> _Beat:
        """The thread, which the worker starts and stops."""
        return _Beat(worker.app)


class _Beat(Thread):
    def __init__(self, app: Celery) -> None:
        super().__init__(name="beat", daemon=True)
        # Beat only ticks, so it has nothing to remember from one start to the next.
        self._service = Service(app, max_interval=_LONGEST_SLEEP_S, scheduler_cls=Scheduler, remote_control=False)

    def run(self) -> None:
        try:
            self._service.start()
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing would be dispatched any more
            get_logger().error("beat failed: this worker ends, and its supervisor starts another", error=repr(error))
            os.kill(os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        self._service.stop()


def add_option(app: Celery) -> None:
    """Let workers of this app take `--with-beat`."""
    app.user_options["worker"].add(
        CeleryOption(("--with-beat",), is_flag=True, help="Run beat in this worker too, for a fleet on one machine.")
    )
    app.steps["worker"].add(BeatInside)
