"""The event log: an append-only list of what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert

from pdpp_worker.store.tables import events
from pdpp_worker.store.values import storable

Event = tuple[str, str | None, dict[str, Any]]
"""(type, stream, data); data holds no content and no secrets."""


def append(connection: Connection, connection_id: int, run_id: int | None, what: Sequence[Event]) -> None:
    """Append events in their order."""
    append_all(connection, [(connection_id, run_id, one) for one in what])


def append_all(connection: Connection, what: Sequence[tuple[int, int | None, Event]]) -> None:
    """Append events of several connections in their order: (connection, run, event)."""
    if what:
        rows = [
            {"connection_id": of, "run_id": run_id, "type": kind, "stream": stream, "data": storable(data)}
            for of, run_id, (kind, stream, data) in what
        ]
        connection.execute(insert(events), rows)
