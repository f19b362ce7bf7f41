"""Ring for a worker from a command."""

from __future__ import annotations

from pdpp_worker.store.runs import Ring


def ring(bell: Ring) -> bool:
    """Returns whether the broker took it. Celery is loaded only by the commands that ring."""
    from pdpp_worker.tasks import doorbell

    return doorbell.ring(bell)
