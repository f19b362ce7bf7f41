"""Rows as dataclasses, and the one moment that all questions of a command see."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pdpp_worker.store.sql import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

PAGE = 500
"""Rows held at once by a reader of many."""

Row = TypeVar("Row")

_NOW = text("SELECT clock_timestamp()")
_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def take_snapshot(connection: Connection) -> None:
    """Let all that follows in this transaction see one state of the database; call it first."""
    connection.execute(_SNAPSHOT)


def now(connection: Connection) -> datetime:
    """The database's time, by which all that is stored was stamped."""
    found: datetime = connection.execute(_NOW).scalar_one()
    return found


def build(model: type[Row], row: RowMapping | dict[str, Any]) -> Row:
    """Make a dataclass from the columns of a row that have its fields' names."""
    return model(**{field.name: row[field.name] for field in fields(model)})  # type: ignore[arg-type]
