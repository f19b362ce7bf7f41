"""Connections that are gone: what every host is told to drop."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, text

_NOTE = text("INSERT INTO removals (connection_id) VALUES (:id) ON CONFLICT DO NOTHING")
_AMONG = text("SELECT connection_id FROM removals WHERE connection_id = ANY(CAST(:ids AS bigint[]))")


def note(connection: Connection, connection_id: int) -> None:
    """Note that a connection was removed; only its id is kept, which is never given again."""
    connection.execute(_NOTE, {"id": connection_id})


def among(connection: Connection, ids: Collection[int]) -> set[int]:
    """The ids, among these, of removed connections."""
    return set(connection.execute(_AMONG, {"ids": sorted(ids)}).scalars()) if ids else set()
