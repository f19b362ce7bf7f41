"""The event log: an append-only list of what happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from pdpp_worker.store.values import storable

Event = tuple[str, str | None, dict[str, Any]]
"""(type, stream, data); data holds no content and no secrets."""

_APPEND = text("""
    INSERT INTO events (connection_id, run_id, type, stream, data)
    SELECT connection_id, run_id, type, stream, CAST(data AS jsonb)
    FROM unnest(CAST(:connections AS bigint[]), CAST(:runs AS bigint[]), CAST(:types AS text[]),
        CAST(:streams AS text[]), CAST(:datas AS text[]))
        WITH ORDINALITY AS given (connection_id, run_id, type, stream, data, place)
    ORDER BY place
""")


def append(connection: Connection, connection_id: int, run_id: int | None, what: Sequence[Event]) -> None:
    """Append events in their order."""
    append_all(connection, [(connection_id, run_id, one) for one in what])


def append_all(connection: Connection, what: Sequence[tuple[int, int | None, Event]]) -> None:
    """Append events of several connections in their order: (connection, run, event)."""
    if what:
        values = {
            "connections": [of for of, _, _ in what],
            "runs": [run_id for _, run_id, _ in what],
            "types": [kind for _, _, (kind, _, _) in what],
            "streams": [stream for _, _, (_, stream, _) in what],
            "datas": [json.dumps(storable(data)) for _, _, (_, _, data) in what],
        }
        connection.execute(_APPEND, values)
