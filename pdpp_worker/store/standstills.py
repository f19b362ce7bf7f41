"""Connections that stand still: what the watchdog noted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from pdpp_worker.store import events

_NOTE = text("""
    UPDATE connections SET still_cause = :cause WHERE id = :id AND still_cause IS DISTINCT FROM :cause RETURNING 1
""")


def note(connection: Connection, connection_id: int, cause: str | None, data: dict[str, Any]) -> bool:
    """Note that a connection stands still for this cause, or (None) no longer does; an event tells of each change.

    Returns whether that was a change. Two watchdogs that see the same note it once.
    """
    if connection.execute(_NOTE, {"id": connection_id, "cause": cause}).scalar() is None:
        return False
    event = ("moving", None, {}) if cause is None else ("still", None, {"cause": cause, **data})
    events.append(connection, connection_id, None, [event])
    return True
