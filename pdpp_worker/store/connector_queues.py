"""The queue of each installed connector, for the views of the fleet: PostgreSQL does not read manifests."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, text

_READ = text("SELECT connector, queue FROM connector_queues")
_DROP = text("DELETE FROM connector_queues WHERE connector <> ALL(CAST(:connectors AS text[]))")
_KEEP = text("""
    INSERT INTO connector_queues (connector, queue)
    SELECT * FROM unnest(CAST(:connectors AS text[]), CAST(:queues AS text[]))
    ON CONFLICT (connector) DO UPDATE SET queue = excluded.queue
""")


def keep(connection: Connection, queues: Mapping[str, str]) -> None:
    """Keep the queues of the installed connectors, and of no others; nothing is written where nothing has changed."""
    held = {row.connector: row.queue for row in connection.execute(_READ)}
    if held != dict(queues):
        names = sorted(queues)
        connection.execute(_DROP, {"connectors": names})
        connection.execute(_KEEP, {"connectors": names, "queues": [queues[name] for name in names]})
