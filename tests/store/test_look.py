"""A look answers the read models as a connection of SQLAlchemy does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy import text as clause

from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from pdpp_worker.store.look import look, why_unanswered
from pdpp_worker.store.sql import text
from pdpp_worker.store.views import connection_views, member_views
from pdpp_worker.store.views.reading import take_snapshot
from tests.support.desk import Desk

_QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SELECT :a || :a AS twice, '100%' AS percent", {"a": "x"}),
    (
        "SELECT CAST(:ids AS bigint[]) AS ids, ARRAY(SELECT unnest(CAST(:ids AS bigint[])))::text[] AS texts",
        {"ids": [1]},
    ),
    ("SELECT CAST(:none AS text) IS NULL AS absent, '{\"a\": [1, null]}'::jsonb AS document", {"none": None}),
    ("SELECT now() - now() AS nothing, timestamptz '2026-03-01 10:00+01' AS at, 1.5::double precision AS real", {}),
    ("SELECT 'late'::text AS word WHERE false", {}),
]


@pytest.fixture
def glance(database_url: str) -> Iterator[Connection]:
    """A look at the database of the test."""
    with look(database_url) as connection:
        assert connection is not None
        yield connection


@pytest.mark.parametrize(("sql", "values"), _QUESTIONS)
def test_rows_are_those_of_sqlalchemy(glance: Connection, db: Database, sql: str, values: dict[str, Any]) -> None:
    with db.begin() as connection:
        expected = connection.execute(clause(sql), values).mappings().all()

    found = glance.execute(text(sql), values)

    assert [dict(row) for row in found.mappings()] == [dict(row) for row in expected]


def test_a_statement_as_text_is_one_for_sqlalchemy_too(db: Database) -> None:
    statement = text("SELECT generate_series(1, :most) AS n").execution_options(stream_results=True, yield_per=2)

    with db.begin() as connection:
        assert [row.n for row in connection.execute(statement, {"most": 5})] == [1, 2, 3, 4, 5]


def test_a_long_answer_comes_page_by_page_while_others_are_asked_for(glance: Connection) -> None:
    statement = text("SELECT generate_series(1, :most) AS n").execution_options(stream_results=True, yield_per=2)

    rows = iter(glance.execute(statement, {"most": 5}).mappings())

    assert next(rows)["n"] == 1
    assert glance.execute(text("SELECT count(*) FROM pg_cursors")).scalar_one() == 1
    assert [row["n"] for row in rows] == [2, 3, 4, 5]


@pytest.mark.parametrize(("where", "expected"), [("true", {"n": 1}), ("false", None)])
def test_one_row_or_none(glance: Connection, where: str, expected: dict[str, int] | None) -> None:
    statement = text(f"SELECT 1 AS n WHERE {where}")

    assert glance.execute(statement).mappings().one_or_none() == expected
    assert glance.execute(statement).scalar() == (expected and 1)


def test_a_row_has_its_columns_by_place_and_by_name(glance: Connection) -> None:
    [row] = glance.execute(text("SELECT 1 AS one, 2 AS two"))

    assert (row[0], row.two, tuple(row)) == (1, 2, (1, 2))
    with pytest.raises(AttributeError):
        _ = row.three


_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_READ: list[Callable[[Connection, Settings], Any]] = [
    lambda connection, _: connection_views.read(connection),
    lambda connection, _: member_views.read(connection, [1, 2]),
    lambda connection, settings: all_streams.read(connection, outlook.read(settings, connection, now=_NOW)),
]


@pytest.mark.parametrize("read", _READ)
def test_read_models_are_the_same(desk: Desk, settings: Settings, read: Callable[[Connection, Settings], Any]) -> None:
    with desk.db.begin() as connection:
        expected = read(connection, settings)

    with look(desk.db.engine.url.render_as_string(hide_password=False)) as glance:
        assert glance is not None
        take_snapshot(glance)
        found = read(glance, settings)

    assert found == expected


def test_a_look_changes_nothing(glance: Connection) -> None:
    with pytest.raises(Exception, match="read-only"):
        glance.execute(text("DELETE FROM connections"))


def test_there_is_no_look_where_the_schema_is_another_one(database_url: str, db: Database) -> None:
    _, needed = migrate.revisions(db)
    _set_revision(db, "0001")
    try:
        with look(database_url) as connection:
            assert connection is None
    finally:
        _set_revision(db, needed)


def _set_revision(db: Database, revision: str) -> None:
    with db.begin() as connection:
        connection.execute(clause("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_there_is_no_look_where_nobody_answers() -> None:
    with look("postgresql+psycopg://127.0.0.1:1/nothing") as connection:
        assert connection is None


def test_other_failures_are_no_silence_of_the_server() -> None:
    assert why_unanswered(ValueError("what")) is None
