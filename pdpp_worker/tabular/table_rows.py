"""Records as rows of a table: own columns and typed ones, in the order of the SQL views."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pdpp_worker.store.views.record_views import ExportedRecord
from pdpp_worker.tabular.table_columns import COLLECTED, CONNECTION, DATA, DELETED, KEY, Column, Kind
from pdpp_worker.tabular.typed_cells import cell, fitting

GROUP_ROWS, GROUP_CHARACTERS = 20_000, 16_000_000
"""Rows are written together until either is reached, so that memory does not grow with the stream."""
_BEFORE = ((CONNECTION, Kind.TEXT), (KEY, Kind.TEXT))
_AFTER = ((COLLECTED, Kind.INSTANT), (DELETED, Kind.INSTANT), (DATA, Kind.JSON))


class StreamTable(NamedTuple):
    """A table of one stream of one connection."""

    name: str
    """CONNECTOR_STREAM; connections of one connector share it."""
    connection: str
    columns: Sequence[Column]

    @property
    def types(self) -> list[tuple[str, Kind]]:
        """Name and type of each column."""
        return [*_BEFORE, *((one.name, one.kind) for one in self.columns), *_AFTER]

    def rows(self, records: Iterable[ExportedRecord]) -> Iterator[tuple[Any, ...]]:
        """The values of each record, one for a column."""
        for record in records:
            data = json.loads(record.json)
            typed = (cell(data, one.member, one.kind) for one in self.columns)
            own = (record.emitted_at, record.deleted_at, fitting(record.json))
            yield (self.connection, fitting(record.key), *typed, *own)


def groups(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in groups that are written at once. The last value of a row is its longest, the whole record."""
    group: list[tuple[Any, ...]] = []
    characters = 0
    for row in rows:
        group.append(row)
        characters += len(row[-1])
        if len(group) >= GROUP_ROWS or characters >= GROUP_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group
