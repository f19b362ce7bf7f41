"""Notify a worker from a command."""

from __future__ import annotations

from pdpp_worker.owner.manual_runs import DueRun


def prepare() -> None:
    """Load what a notification needs, so that it follows its run at once."""
    from pdpp_worker.tasks import doorbell

    doorbell.prepare()


def notify(run: DueRun) -> bool:
    """Notify the workers of a run; returns whether the broker took it. Only commands that notify load Celery."""
    from pdpp_worker.tasks import doorbell

    return doorbell.notify(run)
