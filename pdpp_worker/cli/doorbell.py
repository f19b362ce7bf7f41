"""Ring for a worker from a command."""

from __future__ import annotations

from pdpp_worker.store.runs import DueRun


def ring(due: DueRun) -> bool:
    """Returns whether the broker took it. Celery is loaded only by the commands that ring."""
    from pdpp_worker.tasks import doorbell

    return doorbell.notify(due)
