"""The one place where periods are read: what beat rings, and how often.

Beat only ticks. PostgreSQL says when a connection is due, so no beat, one beat or three beats are all harmless.
"""

from __future__ import annotations

from typing import Any

from pdpp_worker.settings import Settings


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Entry to task, period in seconds, and when an unheard tick is thrown away."""
    periods = {
        "pdpp.dispatch": settings.dispatch_every_s,
        "pdpp.sweep.transient": settings.sweep_every_s,
        "pdpp.sweep.upgrade": settings.sweep_every_s,
        "pdpp.sweep.structural": settings.housekeeping_every_s,
        "pdpp.watch": settings.sweep_every_s,
        "pdpp.notify": settings.sweep_every_s,
        "pdpp.index": settings.index_every_s,
        "pdpp.housekeeping": settings.housekeeping_every_s,
    }
    return {
        task: {"task": task, "schedule": period, "options": {"expires": period}} for task, period in periods.items()
    }
