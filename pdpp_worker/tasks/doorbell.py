"""Ring for a worker. A bell that is not heard costs time, never work: the run is a row that the dispatcher finds."""

from __future__ import annotations

from kombu.exceptions import OperationalError

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.store.runs import Ring
from pdpp_worker.tasks.alarm import Alarm
from pdpp_worker.tasks.app import app

UNHEARD_S = 120.0
"""A bell that no worker heard by then is thrown away: the dispatcher has rung again since."""


def ring(bell: Ring) -> bool:
    """Send the run's id to the queue of its connector; returns whether the broker took it."""
    try:
        queue = registry.get(bell.connector).manifest.queue
        app.send_task("pdpp.slice", kwargs={"run": bell.run_id}, queue=queue, retry=False, expires=UNHEARD_S)
    except (OperationalError, ConfigurationError, OSError) as error:
        get_logger().warning("bell not rung", run=bell.run_id, error=str(error))
        return False
    return True


_alarm = Alarm(ring)


def ring_after(bell: Ring, pause_s: float) -> None:
    """Ring at once, or when a pause is over if this process lives until then."""
    if pause_s > 0:
        _alarm.set(bell, pause_s)
    else:
        ring(bell)
