"""The SQL views of the records, kept in step with the installed connectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.owner import lookup
from pdpp_worker.registry import Connector
from pdpp_worker.store import table_views
from pdpp_worker.store.engine import Database
from pdpp_worker.store.table_views import Kept
from pdpp_worker.tabular.view_sql import SCHEMA, Stream, functions, views


def keep_in_step(db: Database) -> Kept:
    """Make the views of all connectors that have a connection what their manifests ask for.

    A role that may not make the schema is left in peace. Views of a connector that cannot be found stay.
    """
    with db.begin() as connection:
        if not table_views.may_keep(connection, SCHEMA):
            return Kept([], [], {})
        used = {row.connector for row in lookup.list_all(connection)}
        known = {name: one for name, one in registry.all_connectors().items() if name in used}
        statements = views(_streams(known.values()))
        version = table_views.server_version(connection)
        kept = table_views.keep(connection, SCHEMA, functions(version), statements, drop=len(known) == len(used))
    for name, why in kept.left.items():
        get_logger().warning(f"The view {SCHEMA}.{name} is not up to date: {why}.")
    return kept


def _streams(connectors: Iterable[Connector]) -> Iterator[Stream]:
    for connector in connectors:
        for declared in connector.manifest.streams:
            try:
                query = connector.view(declared.name)
            except ConfigurationError as error:
                get_logger().warning(str(error))
                continue
            yield Stream(connector.manifest.name, declared.name, declared.schema_, query)
