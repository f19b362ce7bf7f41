"""The doorbell: a message with the id of a run that a worker should take up.

A message that is lost costs time and never work: the run is a row, which the dispatcher finds.
"""

from __future__ import annotations

from kombu.exceptions import OperationalError

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.store.runs import DueRun
from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.delayed import DelayedNotifier

EXPIRES_S = 120.0
"""A message that no worker has taken by then is dropped: the dispatcher has sent another one since."""


def notify(due: DueRun) -> bool:
    """Send the run's id to the queue of its connector; returns whether the broker took it."""
    try:
        queue = registry.get(due.connector).manifest.queue
        app.send_task("pdpp.slice", kwargs={"run": due.run_id}, queue=queue, retry=False, expires=EXPIRES_S)
    except (OperationalError, ConfigurationError, OSError) as error:
        get_logger().warning("doorbell not sent", run=due.run_id, error=str(error))
        return False
    return True


_delayed = DelayedNotifier(notify)


def notify_after(due: DueRun, pause_s: float) -> None:
    """Notify at once, or when a pause is over if this process lives until then."""
    if pause_s > 0:
        _delayed.schedule(due, pause_s)
    else:
        notify(due)
