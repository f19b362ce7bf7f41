"""Records as tables of a SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from pdpp_worker.store.views.record_views import ExportedRecord
from pdpp_worker.tabular.table_columns import Kind
from pdpp_worker.tabular.table_rows import StreamTable, groups

# SQLite has no type of its own for times, truth and JSON: ISO 8601, 0 and 1, and text.
_TYPES = {Kind.INTEGER: "INTEGER", Kind.NUMBER: "REAL", Kind.BOOLEAN: "INTEGER"}


def write_sqlite(path: Path, table: StreamTable, records: Iterable[ExportedRecord]) -> int:
    """Add the records to their table, which is made if it is not there; returns how many."""
    names = ", ".join(_quoted(name) for name, _ in table.types)
    marks = ", ".join("?" for _ in table.types)
    insert = f"INSERT INTO {_quoted(table.name)} ({names}) VALUES ({marks})"  # noqa: S608 - names are quoted
    count = 0
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")  # the file counts once it is whole
        db.execute(_create(table))
        for rows in groups(table.rows(records)):
            db.executemany(insert, map(_storable, rows))
            count += len(rows)
        db.commit()
    return count


def _create(table: StreamTable) -> str:
    columns = ", ".join(f"{_quoted(name)} {_TYPES.get(kind, 'TEXT')}" for name, kind in table.types)
    return f"CREATE TABLE IF NOT EXISTS {_quoted(table.name)} ({columns})"


def _storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.isoformat() if isinstance(value, date) else value for value in row)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
