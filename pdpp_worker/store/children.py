"""Deletions and returns of a parent, carried to the records that belong to it.

A child that went with its parent keeps the parent's name, so that exactly those come back with it. One that the source
had deleted by itself stays deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

Children = Mapping[str, Sequence[tuple[str, str]]]
"""Parent stream to its children, each with the field that holds the parent's key."""

_DELETE = text("""
    UPDATE records SET deleted_at = gone.at, deleted_with = gone.name, last_run_id = :run_id
    FROM unnest(CAST(:keys AS text[]), CAST(:names AS text[]), CAST(:moments AS timestamptz[])) AS gone (key, name, at)
    WHERE connection_id = :connection_id AND stream = :child AND deleted_at IS NULL
        AND records.data ->> :field = gone.key
    RETURNING records.key, gone.at
""")
_RESTORE = text("""
    UPDATE records SET deleted_at = NULL, deleted_with = NULL, last_run_id = :run_id
    WHERE connection_id = :connection_id AND deleted_with = ANY(CAST(:names AS text[]))
    RETURNING stream, key
""")


def delete_with(
    connection: Connection,
    connection_id: int,
    run_id: int,
    stream: str,
    deleted: Mapping[str, datetime],
    children: Children,
) -> None:
    """Delete what belongs to these deleted records of a stream, and what belongs to that."""
    for child, field in children.get(stream, ()) if deleted else ():
        values = {
            "connection_id": connection_id,
            "run_id": run_id,
            "child": child,
            "field": field,
            "keys": list(deleted),
            "names": list(_names(stream, deleted)),
            "moments": list(deleted.values()),
        }
        gone = {row.key: row.at for row in connection.execute(_DELETE, values)}
        delete_with(connection, connection_id, run_id, child, gone, children)


def restore_with(
    connection: Connection, connection_id: int, run_id: int, stream: str, returned: Collection[str]
) -> None:
    """Bring back what went with these records of a stream, and what went with that."""
    names = list(_names(stream, returned))
    while names:
        values = {"connection_id": connection_id, "run_id": run_id, "names": names}
        names = [name for row in connection.execute(_RESTORE, values) for name in _names(row.stream, [row.key])]


def _names(stream: str, keys: Collection[str]) -> Iterator[str]:
    """The parent's name as its children keep it; no stream has a space in its name."""
    return (f"{stream} {key}" for key in keys)
