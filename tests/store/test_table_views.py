"""The SQL views of records: typed, kept in step with the manifests, and no way for more than looking."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from redis import Redis
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.local.embedded.database_roles import SUPERUSER
from pdpp_worker.owner.record_tables import keep_in_step
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, migrate, table_views
from pdpp_worker.store.engine import Database
from pdpp_worker.tabular.view_sql import SCHEMA, Stream, functions, views
from tests.support.scripted import NOW, Scenario, manifest, record

FIELDS = {
    "id": {"type": "string"},
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": ["string", "null"], "format": "date"},
    "count": {"type": "integer"},
    "sum": {"type": "number"},
    "done": {"type": "boolean"},
    "tags": {"type": "array"},
}


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    """The connection `mine` of a scripted connector."""
    return Scenario(monkeypatch, settings, db, redis)


def _install(scenario: Scenario, fields: dict[str, Any], *records: Any) -> None:
    stream = {"name": "items", "schema": {"type": "object", "properties": fields}}
    scenario.install(lambda _start, _context: iter(records), manifest(stream))


def _rows(db: Database, query: str) -> list[dict[str, Any]]:
    with db.begin() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


def test_a_view_has_typed_columns_beside_the_whole_record(scenario: Scenario) -> None:
    values: dict[str, Any] = {
        "at": "2026-01-02T03:04:05+01:00",
        "day": "2026-01-02",
        "count": 7,
        "sum": 1.5,
        "done": True,
    }
    _install(scenario, FIELDS, record("r1", **values, tags=["a"], other="kept"))
    scenario.run()

    keep_in_step(scenario.db)

    (row,) = _rows(scenario.db, "SELECT * FROM pdpp_tables.scripted_items")
    assert row == {
        "_connection": "mine",
        "_key": "r1",
        "id": "r1",
        "at": datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "count": 7,
        "sum": Decimal("1.5"),
        "done": True,
        "tags": ["a"],
        "_collected_at": NOW,
        "_data": {"id": "r1", **values, "tags": ["a"], "other": "kept"},
    }


@pytest.mark.parametrize("version", [15, 16])
@pytest.mark.parametrize(
    "odd",
    [
        {"at": "yesterday", "day": "2026-13-40", "count": 10**30, "sum": "1", "done": "yes", "tags": None},
        {"at": "infinity", "day": "now", "count": 1.5, "sum": None, "done": 1, "tags": None},
        {"at": {"deep": 1}, "day": [], "count": "7", "sum": {}, "done": [], "tags": None},
        {"at": "9999999-01-01T00:00:00Z", "day": "2026-1-1", "count": -(2**63) - 1, "sum": True, "done": 0},
        {},
    ],
)
def test_a_value_that_does_not_fit_is_empty_and_stops_no_query(
    scenario: Scenario, odd: dict[str, Any], version: int
) -> None:
    lax = {name: {"type": ["string", "null"]} for name in FIELDS}
    _install(scenario, {}, record("r1", **odd))
    scenario.run()
    made = views([Stream("scripted", "items", {"properties": FIELDS}, None)])

    with scenario.db.begin() as connection:
        table_views.keep(connection, SCHEMA, functions(version), made, drop=True)

    (row,) = _rows(scenario.db, "SELECT * FROM pdpp_tables.scripted_items")
    assert {name: row[name] for name in lax if name != "id"} == {name: None for name in lax if name != "id"}
    assert row["_data"] == {"id": "r1", **odd}


def test_a_new_form_of_a_stream_changes_its_view_and_others_are_left_alone(scenario: Scenario) -> None:
    _install(scenario, {"id": {"type": "string"}})
    first = keep_in_step(scenario.db)
    again = keep_in_step(scenario.db)
    _install(scenario, {"id": {"type": "integer"}, "title": {}})

    changed = keep_in_step(scenario.db)

    assert (first.made, again.made, changed.made) == (["scripted_items"], [], ["scripted_items"])
    assert _rows(scenario.db, "SELECT title FROM pdpp_tables.scripted_items") == []


def test_a_view_of_the_owner_s_own_is_never_dropped(scenario: Scenario) -> None:
    _install(scenario, {"id": {"type": "string"}})
    keep_in_step(scenario.db)
    with scenario.db.begin() as connection:
        connection.execute(text("CREATE VIEW my_own AS SELECT id FROM pdpp_tables.scripted_items"))
    _install(scenario, {"id": {"type": "integer"}})

    kept = keep_in_step(scenario.db)

    assert "a view of yours" in kept.left["scripted_items"]
    assert _rows(scenario.db, "SELECT * FROM my_own") == []


def test_the_view_of_a_stream_that_is_no_more_goes(scenario: Scenario) -> None:
    _install(scenario, {})
    keep_in_step(scenario.db)
    scenario.install(lambda _start, _context: iter([]), manifest("others"))

    kept = keep_in_step(scenario.db)

    assert (kept.made, kept.dropped) == (["scripted_others"], ["scripted_items"])


def test_views_of_a_connector_that_cannot_be_found_stay(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(scenario, {})
    keep_in_step(scenario.db)
    monkeypatch.setattr(registry, "all_connectors", dict)

    assert keep_in_step(scenario.db).dropped == []


# It closes what stands around it, and opens the same again.
SECOND_STATEMENT = """
    SELECT '' AS key, '{}'::jsonb AS data, now() AS emitted_at) AS computed) AS computed) AS held ON true;
    CREATE TABLE planted ();
    SELECT 1 FROM connections AS owned JOIN (SELECT connections.id AS connection_id FROM connections
    CROSS JOIN LATERAL (SELECT 1 FROM (SELECT 1
"""


@pytest.mark.parametrize("query", [SECOND_STATEMENT, "SELECT key FROM nowhere", "\x00"])
def test_a_query_that_is_no_query_costs_its_own_view(db: Database, query: str) -> None:
    made = views([Stream("one", "bad", {}, query), Stream("one", "good", {}, None)])

    with db.begin() as connection:
        kept = table_views.keep(connection, SCHEMA, functions(16), made, drop=True)

    assert (kept.made, list(kept.left)) == (["one_good"], ["one_bad"])
    assert _rows(db, "SELECT to_regclass('planted') AS planted") == [{"planted": None}]


def test_members_with_awkward_names_are_columns_too(db: Database) -> None:
    schema: dict[str, Any] = {
        "properties": {"it's": {}, 'say "x"': {}, "back\\slash": {}, "100%": {}, ":id": {}, "n\x00l": {}}
    }

    with db.begin() as connection:
        kept = table_views.keep(connection, SCHEMA, functions(16), views([Stream("a", "b", schema, None)]), drop=True)

    assert kept.left == {}
    assert _rows(db, "SELECT * FROM pdpp_tables.a_b") == []


@pytest.mark.parametrize("connector", sorted(registry.packaged_connectors()))
def test_every_built_in_stream_has_a_view_that_can_be_read(db: Database, connector: str) -> None:
    with db.begin() as connection:
        connections.add(connection, "mine", connector, {}, {}, None)

    kept = keep_in_step(db)

    assert kept.left == {}
    assert len(kept.made) == len(registry.get(connector).manifest.streams)
    for name in kept.made:
        assert _rows(db, f"TABLE pdpp_tables.{name}") == []


@pytest.fixture
def superuser(scenario: Scenario, servers: EmbeddedServers) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the test's database, with a role `looker` that goes at the end."""
    url = servers._postgres.url_of(SUPERUSER).replace("+psycopg", "")
    with psycopg.connect(url.replace("/pdpp?", f"/{scenario.db.engine.url.database}?"), autocommit=True) as connection:
        connection.execute("CREATE ROLE looker")
        yield connection
        connection.execute("RESET SESSION AUTHORIZATION")
        connection.execute("DROP OWNED BY looker")
        connection.execute("DROP ROLE looker")


def test_a_role_that_may_read_the_views_reads_nothing_else(scenario: Scenario, superuser: psycopg.Connection) -> None:
    _install(scenario, {"id": {}}, record("r1"))
    scenario.run()
    keep_in_step(scenario.db)
    superuser.execute("GRANT USAGE ON SCHEMA pdpp_tables TO looker")
    superuser.execute("GRANT SELECT ON ALL TABLES IN SCHEMA pdpp_tables TO looker")

    superuser.execute("SET SESSION AUTHORIZATION looker")

    assert superuser.execute("SELECT id FROM pdpp_tables.scripted_items").fetchall() == [("r1",)]
    with pytest.raises(InsufficientPrivilege):
        superuser.execute("SELECT * FROM connections")


def test_the_schema_still_comes_down_and_up_with_views_on_it(scenario: Scenario) -> None:
    _install(scenario, {})
    keep_in_step(scenario.db)

    migrate.downgrade(scenario.db, "0010")
    migrate.upgrade(scenario.db)

    assert _rows(scenario.db, "SELECT * FROM pdpp_tables.scripted_items") == []
