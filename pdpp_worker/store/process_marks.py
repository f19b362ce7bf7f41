"""Marks of the fleet's processes: a process whose loop turns says so every few seconds."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from pdpp_worker.errors import PdppError

AWAY = (SQLAlchemyError, PdppError, OSError)
"""Errors of a database that cannot be asked."""


class Mark(NamedTuple):
    """The last word of a process."""

    age_s: float
    """By the database's clock."""
    stuck: int
    """Threads of it that do not come back."""


_SET = text("""
    INSERT INTO fleet_processes (name, stuck) VALUES (:name, :stuck)
    ON CONFLICT (name) DO UPDATE SET seen_at = clock_timestamp(), stuck = excluded.stuck
""")
_FORGET = text("DELETE FROM fleet_processes WHERE seen_at < clock_timestamp() - interval '1 day'")
_READ = text("""
    SELECT CAST(extract(epoch FROM clock_timestamp() - seen_at) AS double precision) AS age_s, stuck
    FROM fleet_processes WHERE name = :name
""")


def set_mark(connection: Connection, name: str, stuck: int) -> None:
    """Say that the process of this name is at work."""
    connection.execute(_SET, {"name": name, "stuck": stuck})


def forget_old(connection: Connection) -> None:
    """Drop the marks of processes that are long gone."""
    connection.execute(_FORGET)


def read(connection: Connection, name: str) -> Mark | None:
    """The mark of a process; None: it has made none."""
    row = connection.execute(_READ, {"name": name}).one_or_none()
    return None if row is None else Mark(*row)
