"""Connections as the read model sees them, for rules that need no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pdpp_worker.store.views.wait_views import ActiveRun, Waits

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    """So many minutes before now; negative: after."""
    return NOW - timedelta(minutes=minutes)


def ahead(minutes: float) -> datetime:
    """So many minutes after now."""
    return ago(-minutes)


def active(**fields: Any) -> ActiveRun:
    """A run that was queued an hour ago, is due since, and was notified of just now."""
    base = {
        "id": 7,
        "created_at": ago(60),
        "not_before": ago(60),
        "wait_reason": None,
        "rung_at": ago(0),
        "leased": False,
        "still_slices": 0,
    }
    return ActiveRun(**{**base, **fields})


def waits(**fields: Any) -> Waits:
    """A connection without a schedule for which nothing is due."""
    base = {
        "connection_id": 1,
        "connection": "mine",
        "connector": "scripted",
        "interval_ms": 1000.0,
        "hold_until": None,
        "hold_reason": None,
        "cooldown_until": None,
        "pressed": False,
        "run": None,
        "touched_at": None,
        "due_at": None,
        "paused": False,
        "next_run_at": None,
        "still_cause": None,
        "failing_since": None,
    }
    return Waits(**{**base, **fields})
