"""The one place where periods are read: what beat rings, and how often.

Beat only ticks. PostgreSQL says when a connection is due, so no beat, one beat or three beats are all harmless.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery.schedules import schedule

from pdpp_worker import clock
from pdpp_worker.settings import Settings

MOST_WAITING = 20
"""Beat sends nothing to a queue in which so many messages wait for a worker. A message says nothing of its age: then
the clock of one machine would be compared with that of another."""

TAKEOVER_EVERY_S = 3.0
"""Least time between two looks for runs whose worker is gone. Each look plans another for the instant at which the next
lease runs out, so two of them in the time of a lease do, where one may be lost with its worker."""


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Entry to task, period in seconds, and how many messages may wait. A step of this machine's time moves no tick."""
    periods = {
        "pdpp.dispatch": settings.dispatch_every_s,
        "pdpp.sweep.transient": settings.sweep_every_s,
        "pdpp.sweep.upgrade": settings.sweep_every_s,
        "pdpp.sweep.structural": settings.housekeeping_every_s,
        "pdpp.watch": settings.sweep_every_s,
        "pdpp.index": settings.index_every_s,
        "pdpp.housekeeping": settings.housekeeping_every_s,
    }
    takeover_s = min(max(TAKEOVER_EVERY_S, settings.lease_s / 2), settings.dispatch_every_s)
    takeover = _entry("pdpp.dispatch", takeover_s, abandoned=True)
    return {**{task: _entry(task, period) for task, period in periods.items()}, "takeover": takeover}


def _entry(task: str, period_s: float, **arguments: Any) -> dict[str, Any]:
    return {
        "task": task,
        "kwargs": arguments,
        "schedule": schedule(timedelta(seconds=period_s), nowfun=clock.steady),
        "options": {"most_waiting": MOST_WAITING},
    }
