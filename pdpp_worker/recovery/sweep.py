"""The transient sweep: gaps whose time has come become recovery runs, one for each connection."""

from __future__ import annotations

from pdpp_worker import registry
from pdpp_worker.dispatch import full_scope
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.store import connections, gaps, runs
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import DueConnection
from pdpp_worker.store.runs import Ring

PAGE = 500


def sweep_transient(db: Database) -> list[Ring]:
    """Queue a run for every connection that has due gaps and no run of its own; returns the bells to ring."""
    with db.begin() as connection:
        due = gaps.due_connections(connection, PAGE)
    return [ring for one in due if (ring := start_run(db, one, "sweep")) is not None]


def recover(db: Database, connection_ids: list[int]) -> list[Ring]:
    """Make the transient gaps of these connections due now, and queue their runs.

    Gaps that were given up after many attempts are tried again too: somebody asked.
    """
    with db.begin() as connection:
        due = gaps.make_due(connection, connection_ids)
    return [ring for one in due if (ring := start_run(db, one, "manual")) is not None]


def start_run(db: Database, due: DueConnection, trigger: str) -> Ring | None:
    """Queue the run that goes back for due gaps; None when the connection has a run already.

    A connector that can fetch single resources is asked for just these; another one walks.
    """
    try:
        connector = registry.get(due.connector)
    except ConfigurationError as error:
        get_logger().error("cannot be recovered", connector=due.connector, error=str(error))
        return None
    targeted = connector.manifest.recovery.supports_targeted_resource_fetch and due.only_resources
    with db.begin() as connection:
        run_id, created = runs.create(
            connection,
            due.connection_id,
            kind="recovery" if targeted else "forward",
            trigger=trigger,
            streams=full_scope(connector, connections.by_id(connection, due.connection_id).settings),
            version=connector.manifest.version,
        )
    return Ring(run_id, due.connector) if created else None
