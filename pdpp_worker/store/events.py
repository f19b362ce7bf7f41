"""The event log: an append-only list of what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert

from pdpp_worker.store import changes
from pdpp_worker.store.tables import events
from pdpp_worker.store.values import storable

Event = tuple[str, str | None, dict[str, Any]]
"""(type, stream, data); data holds no content and no secrets."""


def append(connection: Connection, connection_id: int, run_id: int | None, what: Sequence[Event]) -> None:
    """Append events in their order."""
    if what:
        rows = [
            {"connection_id": connection_id, "run_id": run_id, "type": kind, "stream": stream, "data": storable(data)}
            for kind, stream, data in what
        ]
        connection.execute(insert(events), rows)
        changes.tell(connection)
