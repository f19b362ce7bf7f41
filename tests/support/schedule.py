"""A connection that is collected on schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pdpp_worker.store import connections
from tests.support.scripted import Scenario


def plan(scenario: Scenario, *, every_s: float = 86_400.0, in_s: float = 0.0) -> None:
    """Let the connection be due in so many seconds, and then at this interval."""
    at = datetime.now(UTC) + timedelta(seconds=in_s)
    with scenario.db.begin() as connection:
        connections.schedule(
            connection, scenario.connection_id, every_s=every_s, cron=None, jitter_s=0.0, next_run_at=at
        )


def is_due(scenario: Scenario) -> bool:
    """Whether its time has come."""
    return bool(scenario.one("SELECT next_run_at <= clock_timestamp() AS due FROM schedules")["due"])
