"""A stream view computes its rows from one connection's records, and can write nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import stream_views

COUNT = """
    SELECT stream AS key, jsonb_build_object('count', count(*)) AS data, max(emitted_at) AS emitted_at
    FROM records GROUP BY stream
"""
_INSERT = text("""
    INSERT INTO records (connection_id, stream, key, data, content_hash, partial, emitted_at, deleted_at,
        first_run_id, last_run_id)
    VALUES (:id, 'notes', :key, '{}', '\\x00', false, now(), CASE WHEN :deleted THEN now() END, 1, 1)
""")


@pytest.fixture
def ids(db: Database) -> list[int]:
    """Two connections; the first has two notes and one that was deleted, the second has one note."""
    with db.begin() as connection:
        made = [connections.add(connection, name, "sample", {}, {}, 1.0) for name in ("mine", "other")]
        for number, deleted in (("1", False), ("2", False), ("3", True)):
            _insert(connection, made[0], number, deleted=deleted)
        _insert(connection, made[1], "1", deleted=False)
    return made


def _insert(connection: Any, connection_id: int, key: str, *, deleted: bool) -> None:
    connection.execute(_INSERT, {"id": connection_id, "key": key, "deleted": deleted})


def test_a_view_sees_the_records_of_its_connection_that_are_there(db: Database, ids: list[int]) -> None:
    with db.begin() as connection:
        (row,) = stream_views.records(connection, ids[0], COUNT)

    assert (row.key, json.loads(row.json)) == ("notes", {"count": 2})


def test_a_view_can_write_nothing(db: Database, ids: list[int]) -> None:
    writing = "SELECT key, data, emitted_at FROM records WHERE nextval('connections_id_seq') > 0"

    with pytest.raises(DBAPIError, match="read-only"), db.begin() as connection:
        list(stream_views.records(connection, ids[0], writing))


def test_a_view_is_one_statement(db: Database, ids: list[int]) -> None:
    two = ") AS a; DELETE FROM records; SELECT * FROM (".join((COUNT, COUNT))

    with pytest.raises(DBAPIError), db.begin() as connection:
        list(stream_views.records(connection, ids[0], two))


def test_colons_of_a_view_are_its_own(db: Database, ids: list[int]) -> None:
    query = "SELECT key, jsonb_build_object('a', ':id'::text) AS data, emitted_at FROM records"

    with db.begin() as connection:
        rows = list(stream_views.records(connection, ids[0], query))

    assert [json.loads(row.json) for row in rows] == [{"a": ":id"}] * 2
