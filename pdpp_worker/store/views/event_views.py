"""The event log: what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from pdpp_worker.store.views.reading import build


@dataclass(frozen=True)
class EventView:
    """One line of what happened."""

    id: int
    at: datetime
    connection: str
    run_id: int | None
    stream: str | None
    type: str
    data: dict[str, Any]


class StuckThreads(NamedTuple):
    """A connection whose connector did not come back, so that workers were replaced."""

    connection: str
    times: int
    """In the last hour."""


_STUCK = text("""
    SELECT connections.name, count(*) FROM events JOIN connections ON connections.id = events.connection_id
    WHERE events.type = 'thread_stuck' AND events.at > clock_timestamp() - interval '1 hour'
    GROUP BY 1 ORDER BY 1
""")
_EVENTS = text("""
    SELECT events.*, connections.name AS connection
    FROM events JOIN connections ON connections.id = events.connection_id
    WHERE events.id > :after AND (CAST(:id AS bigint) IS NULL OR events.connection_id = :id)
    ORDER BY events.id DESC LIMIT :limit
""")
_OF_RUN = text("""
    SELECT events.*, connections.name AS connection
    FROM events JOIN connections ON connections.id = events.connection_id
    WHERE events.run_id = :run_id ORDER BY events.id DESC LIMIT :limit
""")


def of_run(connection: Connection, run_id: int, limit: int) -> list[EventView]:
    """The latest events of a run, oldest first."""
    rows = connection.execute(_OF_RUN, {"run_id": run_id, "limit": limit}).mappings().all()
    return [build(EventView, row) for row in reversed(rows)]


def latest(connection: Connection, connection_id: int | None, *, after: int, limit: int) -> list[EventView]:
    """The latest events with an id above `after`, oldest first, of one connection or of all."""
    rows = connection.execute(_EVENTS, {"id": connection_id, "after": after, "limit": limit}).mappings().all()
    return [build(EventView, row) for row in reversed(rows)]


def stuck_lately(connection: Connection) -> list[StuckThreads]:
    """The connections whose connector did not come back in the last hour."""
    return [StuckThreads(*row) for row in connection.execute(_STUCK)]
