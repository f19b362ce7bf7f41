"""Records on their way into files: which streams, and how each is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.errors import NotFoundError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.store.views import record_views, stream_views
from pdpp_worker.store.views.record_views import ExportedRecord
from pdpp_worker.tabular.table_columns import columns_of, table_names
from pdpp_worker.tabular.table_rows import StreamTable


class ExportedStream(NamedTuple):
    """A stream to export: stored, or computed by `query`."""

    row: ConnectionRow
    stream: str
    schema: Mapping[str, Any]
    query: str | None

    @property
    def id(self) -> tuple[str, str]:
        """Its connector and its name."""
        return self.row.connector, self.stream

    def table(self, names: Mapping[tuple[str, str], str]) -> StreamTable:
        """Its table, of the same name and columns as its SQL view."""
        return StreamTable(names[self.id], self.row.name, columns_of(self.schema))

    @property
    def fields(self) -> list[str]:
        """The members that the manifest declares; none where the connector is not installed any more."""
        properties = self.schema.get("properties")
        return list(properties) if isinstance(properties, dict) else []

    def records(self, connection: Connection, *, deleted: bool) -> Iterator[ExportedRecord]:
        """Its records by key, streamed from the server."""
        if self.query is not None:
            return stream_views.records(connection, self.row.id, self.query)
        return record_views.records(connection, self.row.id, self.stream, deleted=deleted)


def streams(connection: Connection, name: str | None, stream: str | None) -> list[ExportedStream]:
    """The streams of a connection, or of all connections: those that are supplied, computed or held.

    Raises:
        NotFoundError: there is no such connection, or it has no such stream.
    """
    rows = lookup.list_all(connection) if name is None else [lookup.find(connection, name)]
    if stream is not None:
        return [_one(connection, row, stream) for row in rows]
    return [_one(connection, row, each) for row in rows for each in _names(connection, row)]


def names_of(found: Iterable[ExportedStream]) -> dict[tuple[str, str], str]:
    """The names of their tables, which are those of their SQL views."""
    installed = registry.all_connectors()
    viewed = {(name, one.name) for name, connector in installed.items() for one in connector.manifest.streams}
    return table_names({*viewed, *(one.id for one in found)})


def _names(connection: Connection, row: ConnectionRow) -> list[str]:
    connector = registry.all_connectors().get(row.connector)
    manifest = connector.manifest if connector else None
    declared = [one.name for one in manifest.streams if one.view or one in manifest.supplied] if manifest else []
    return list(dict.fromkeys([*declared, *record_views.held_streams(connection, row.id)]))


def _one(connection: Connection, row: ConnectionRow, stream: str) -> ExportedStream:
    connector = registry.all_connectors().get(row.connector)
    declared = connector.manifest.stream(stream) if connector else None
    if connector is not None and declared is not None:
        return ExportedStream(row, stream, declared.schema_, connector.view(stream))
    if record_views.has_stream(connection, row.id, stream):
        return ExportedStream(row, stream, {}, None)
    known = ", ".join(one.name for one in connector.manifest.supplied) if connector else "none is known"
    raise NotFoundError(f"{row.name} has no stream {stream!r}; known: {known}.")
