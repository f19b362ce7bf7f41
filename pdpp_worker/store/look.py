"""A look at the database by a command that ends at once: one transaction that reads, without SQLAlchemy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import psycopg

from pdpp_worker.store import migrate
from pdpp_worker.store.process_names import APPLICATION, process_name
from pdpp_worker.store.silence import WatchedConnection

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pdpp_worker.store.sql import Statement

CONNECT_TIMEOUT_S = 10
_SETTINGS = "-c timezone=UTC -c default_transaction_read_only=on -c statement_timeout=600s"
_PARAMETER = re.compile(r"(?<![:\w\x5c]):(\w+)(?!:)")
"""A parameter in SQL, as SQLAlchemy finds it; a cast has two colons."""


class _Row(tuple[Any, ...]):
    """A row whose columns are found by place and by name."""

    __slots__ = ()
    places: Mapping[str, int]

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self.places[name]]
        except KeyError:
            raise AttributeError(name) from None


class _Rows:
    """Rows that a statement found, as they are asked for."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._names = [column.name for column in cursor.description or ()]
        self._rows = _each(cursor)

    def __iter__(self) -> Iterator[_Row]:
        places = {name: place for place, name in enumerate(self._names)}
        return map(type("Row", (_Row,), {"__slots__": (), "places": places}), self._rows)

    def mappings(self) -> _Mappings:
        """Each row as column to value."""
        return _Mappings(dict(zip(self._names, row, strict=True)) for row in self._rows)

    def scalar(self) -> Any:
        """The first value of the first row; None where there is none."""
        return next(self._rows, (None,))[0]

    def scalar_one(self) -> Any:
        """The one value of the one row."""
        [(value, *_)] = self._rows
        return value

    def scalar_one_or_none(self) -> Any:
        """The one value of the one row; None where there is none."""
        [(value, *_)] = list(self._rows) or [(None,)]
        return value


def _each(cursor: psycopg.Cursor[Any]) -> Iterator[tuple[Any, ...]]:
    with cursor:
        yield from cursor


class _Mappings:
    """Rows as column to value."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._rows

    def one_or_none(self) -> dict[str, Any] | None:
        """The one row; None where there is none."""
        found: list[dict[str, Any] | None] = list(self._rows)
        [row] = found or [None]
        return row


class _Look:
    """Executes statements as a connection of SQLAlchemy does, for those who only read."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._streams = itertools.count()

    def execute(self, statement: Statement, values: Mapping[str, Any] | None = None) -> _Rows:
        """Ask the server; a statement that says so has its rows come a page at a time."""
        sql = _PARAMETER.sub(r"%(\1)s", statement.text.replace("%", "%%"))
        cursor = self._streamed(statement.page) if statement.page else self._connection.cursor()
        return _Rows(cursor.execute(sql.encode(), values or {}))

    def _streamed(self, page: int) -> psycopg.Cursor[Any]:
        cursor = self._connection.cursor(f"rows_{next(self._streams)}")
        cursor.itersize = page
        return cursor


@contextmanager
def look(url: str) -> Iterator[Connection | None]:
    """One transaction that reads, with what the read models use of SQLAlchemy's connection.

    None: the server is out of reach, libpq does not know this form of address, or the schema is of another version.
    """
    address = "postgresql:" + url.partition(":")[2]
    own = {"options": _SETTINGS, "application_name": f"{APPLICATION} {process_name()}"}
    try:
        opened = WatchedConnection.open({"conninfo": address, "connect_timeout": CONNECT_TIMEOUT_S, **own})
    except psycopg.Error:
        yield None
        return
    with opened:
        connection = cast("Connection", _Look(opened))
        is_current = migrate.is_current(connection)
        opened.rollback()
        yield connection if is_current else None


def why_unanswered(error: Exception) -> str | None:
    """The words of PostgreSQL, or about it, where it did not answer; SQLAlchemy wraps them."""
    said = getattr(error, "orig", error)
    return str(said).strip() if isinstance(said, psycopg.OperationalError) else None
