"""The structural sweep: what a connector's manifest says can never be had is kept in step with what is stored.

It fetches nothing. Every stream of a manifest has a coverage row, and a stream that is declared absent has the reason
there; gaps that an older version stored for it are closed, since nobody can ever fix them.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from pdpp_worker import registry
from pdpp_worker.isolation import each
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.store import connections, coverage_rows
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database


def sweep_structural(db: Database) -> int:
    """Bring all connections in step with the installed manifests; returns how many gaps were moved."""
    with db.begin() as connection:
        rows = connections.list_all(connection, None)
    return sum(each("cannot be declared", rows, lambda row: _declare(db, row), name=attrgetter("id")))


def _declare(db: Database, row: ConnectionRow) -> int:
    connector = registry.all_connectors().get(row.connector)
    if connector is None:
        return 0
    reasons = {stream.name: _absence(stream, row.settings) for stream in connector.manifest.streams}
    return db.transact(lambda connection: coverage_rows.declare(connection, row.id, reasons))


def _absence(stream: StreamManifest, settings: Mapping[str, Any]) -> str | None:
    """Why a connection goes without the stream; None when it does not."""
    declared = stream.availability
    return declared.reason if declared is not None and declared.concerns(settings) else None
