"""The states of a run, for statements that need none of the tables' definitions."""

RUN_STATUSES = ("queued", "running", "succeeded", "partially_completed", "failed", "cancelled")
IS_ACTIVE = "status IN ('queued', 'running')"
