"""The migrations make exactly the tables that the code speaks of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from pdpp_worker.errors import ConfigurationError, SchemaMismatchError
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, scope_hash, scope_json
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from pdpp_worker.store.tables import metadata
from tests.support.databases import Databases
from tests.support.waiting import PATIENCE_S

# Everything that tells one schema from another: columns, constraints and indexes, as the server itself writes them.
_SCHEMA = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity
        FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version'
        ORDER BY table_name, column_name
    """,
    "constraints": """
        SELECT conrelid::regclass::text AS of, conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        WHERE connamespace = 'public'::regnamespace AND relname <> 'alembic_version' ORDER BY 1, 2
    """,
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2
    """,
}

_PROGRAM = """
import sys
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, scope_hash, scope_json
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
migrate.upgrade(Database(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def create_empty(databases: Databases) -> Iterator[Callable[[str], Database]]:
    """Makes databases without a single table."""
    made: list[Database] = []

    def create(name: str) -> Database:
        made.append(Database(databases.create(name, "template0")))
        return made[-1]

    yield create
    for database in made:
        database.close()


def schema(db: Database) -> dict[str, list[tuple[object, ...]]]:
    """The schema, as the server describes it."""
    with db.begin() as connection:
        return {part: [tuple(row) for row in connection.execute(text(query))] for part, query in _SCHEMA.items()}


def tables(db: Database) -> set[str]:
    """The names of the tables."""
    with db.begin() as connection:
        return set(inspect(connection).get_table_names())


def test_the_migrated_tables_are_those_of_the_code(store: Database) -> None:
    with store.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})

        assert compare_metadata(context, metadata) == []


def test_constraints_and_defaults_are_the_same_to_the_letter(
    store: Database, create_empty: Callable[[str], Database]
) -> None:
    made_from_code = create_empty("made_from_code")
    with made_from_code.begin() as connection:
        metadata.create_all(connection)

    migrated, made = schema(store), schema(made_from_code)

    for part in _SCHEMA:
        assert set(migrated[part]) == set(made[part])


def test_down_to_nothing_and_up_again(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("down_and_up")
    migrate.upgrade(db)
    first = schema(db)

    migrate.downgrade(db, "base")
    left = tables(db)
    migrate.upgrade(db)

    assert left <= {"alembic_version"}
    assert schema(db) == first


def test_what_an_earlier_version_holds_is_brought_along(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("held_by_an_earlier_version")
    migrate.upgrade(db, "0001")
    with db.begin() as connection:
        connection.execute(text("INSERT INTO connections (name, connector) VALUES ('mine', 'chatgpt')"))
        connection.execute(
            text("""
            INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, first_run_id,
                last_run_id, status, connector_version_seen, next_attempt_at)
            VALUES (1, 'messages', '{}', '', 'timed_out', 'retry_by_runtime', 1, 1, 'leased', '1.0.0', now())
            """)
        )

    migrate.upgrade(db)

    with db.begin() as connection:
        assert connection.execute(text("SELECT name, cooldown_until FROM connections")).one() == ("mine", None)
        assert connection.execute(text("SELECT status FROM gaps")).scalar_one() == "open"


def test_a_run_of_an_earlier_version_waits_for_nothing_known(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("run_of_an_earlier_version")
    migrate.upgrade(db, "0002")
    with db.begin() as connection:
        connection.execute(text("INSERT INTO connections (name, connector) VALUES ('mine', 'chatgpt')"))
        connection.execute(
            text("""
            INSERT INTO runs (connection_id, kind, trigger, mode, streams, connector_version)
            VALUES (1, 'forward', 'manual', 'incremental', '[]', '1')
            """)
        )

    migrate.upgrade(db)

    with db.begin() as connection:
        assert connection.execute(text("SELECT wait_reason, still_slices, touched_at FROM runs")).one() == (
            None,
            0,
            None,
        )
        assert connection.execute(text("SELECT still_cause FROM connections")).scalar_one() is None


def test_a_miss_that_had_two_rows_for_two_forms_of_its_scope_keeps_one(
    create_empty: Callable[[str], Database],
) -> None:
    db = create_empty("scopes_of_an_earlier_version")
    migrate.upgrade(db, "0003")
    with db.begin() as connection:
        connection.execute(text("INSERT INTO connections (name, connector) VALUES ('mine', 'chatgpt')"))
        connection.execute(
            text("""
            INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, first_run_id,
                last_run_id, connector_version_seen)
            SELECT 1, 'messages', scope, decode(md5(scope::text), 'hex'), 'timed_out', 'retry_by_runtime', 1, 1, '1.0'
            FROM unnest(CAST(:scopes AS jsonb[])) AS scope
            """),
            {
                "scopes": [
                    '{"partition": {}, "range": {}}',
                    '{"partition": {}}',
                    '{"resource_id": "[\\"a\\", \\"b\\"]"}',
                ]
            },
        )

    migrate.upgrade(db)

    with db.begin() as connection:
        held = connection.execute(text("SELECT scope, scope_hash FROM gaps ORDER BY id")).all()
    assert [(row.scope, bytes(row.scope_hash)) for row in held] == [
        (scope_json(scope), scope_hash(scope)) for scope in (WHOLE_STREAM, ResourceScope(resource_id='["a","b"]'))
    ]


def test_a_version_that_is_no_time_becomes_a_number(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("versions_of_an_earlier_version")
    migrate.upgrade(db, "0003")
    with db.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO records (connection_id, stream, key, data, content_hash, version, partial, emitted_at,
                first_run_id, last_run_id)
            SELECT 1, 'items', version, '{}', '', CAST(version AS float8), false, now(), 1, 1
            FROM unnest(CAST(:versions AS text[])) AS version
            """),
            {"versions": ["1700000000.5", "1700000000000", "1e300"]},
        )

    migrate.upgrade(db)

    with db.begin() as connection:
        held = connection.execute(text("SELECT version, version_digits FROM records ORDER BY version, key")).all()
    assert [tuple(row) for row in held] == [(1700000000.5, None), (None, "1700000000000"), (None, None)]


def test_what_is_held_already_is_counted(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("counted_by_no_earlier_version")
    migrate.upgrade(db, "0030")
    with db.begin() as connection:
        connection.execute(text("INSERT INTO connections (name, connector) VALUES ('mine', 'scripted')"))
        connection.execute(
            text("""
            INSERT INTO records (connection_id, stream, key, data, content_hash, partial, emitted_at, deleted_at,
                first_run_id, last_run_id)
            SELECT 1, 'items', n::text, '{}', '', n > 5, now(), CASE WHEN n % 3 = 0 THEN now() END, 1, 1
            FROM generate_series(1, 9) AS n
            """)
        )

    migrate.upgrade(db)

    with db.begin() as connection:
        assert connection.execute(text("SELECT * FROM held_counts")).all() == [(1, "items", 9, 3, 2)]


def test_what_is_indexed_already_is_counted_by_months(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("indexed_by_an_earlier_version")
    migrate.upgrade(db, "0032")
    with db.begin() as connection:
        connection.execute(text("INSERT INTO connections (name, connector) VALUES ('mine', 'scripted')"))
        connection.execute(
            text("""
            INSERT INTO record_index (connection_id, stream, key, at, words)
            SELECT 1, 'items', n::text, timestamptz '2024-01-30 00:00Z' + n * interval '1 day', ''
            FROM generate_series(0, 4) AS n
            """)
        )

    migrate.upgrade(db)

    with db.begin() as connection:
        counted = connection.execute(
            text("SELECT extract(month FROM month)::int, records FROM month_counts ORDER BY 1")
        )
        assert [tuple(row) for row in counted] == [(1, 2), (2, 3)]


def test_upgrading_what_is_current_changes_nothing(store: Database) -> None:
    before = schema(store)

    migrate.upgrade(store)

    assert schema(store) == before


def test_two_programs_that_upgrade_at_once_wait_for_each_other(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("upgraded_at_once")

    url = db.engine.url.render_as_string(hide_password=False)

    programs = [subprocess.Popen([sys.executable, "-c", _PROGRAM, url]) for _ in range(2)]

    assert [program.wait(PATIENCE_S) for program in programs] == [0, 0]
    migrate.require_current(db)
    assert tables(db) == {*metadata.tables, "alembic_version"}


def test_a_database_of_another_version_is_refused_with_the_command_that_mends_it(
    create_empty: Callable[[str], Database],
) -> None:
    db = create_empty("never_migrated")
    _, need = migrate.revisions(db)

    with pytest.raises(ConfigurationError) as caught:
        migrate.require_current(db)

    assert str(caught.value) == (
        f"The database schema is at revision none, this version needs {need}. Run: pdpp-worker db upgrade"
    )


@pytest.mark.parametrize(("oldest", "fits"), [("0001", True), ("9999", False)])
def test_newer_schemas_are_worked_on_as_long_as_they_keep_what_this_code_uses(
    create_empty: Callable[[str], Database], oldest: str, *, fits: bool
) -> None:
    db = create_empty(f"newer_schema_{oldest}")
    migrate.upgrade(db)
    with db.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text(f"COMMENT ON TABLE alembic_version IS 'oldest code: {oldest}'"))

    with nullcontext() if fits else pytest.raises(SchemaMismatchError, match=r"Install the newer version\."):
        migrate.require_current(db)


def test_a_migration_says_how_old_code_may_be_that_works_with_it(create_empty: Callable[[str], Database]) -> None:
    db = create_empty("says_how_old")
    migrate.upgrade(db)

    assert migrate._oldest_code(db) == migrate.OLDEST_CODE


def test_a_current_database_is_accepted(store: Database) -> None:
    migrate.require_current(store)

    have, need = migrate.revisions(store)
    assert have == need


def test_what_is_needed_is_the_last_of_the_migrations(store: Database) -> None:
    _, need = migrate.revisions(store)

    assert ScriptDirectory(migrate.__file__.replace("migrate.py", "migrations")).get_current_head() == need


def test_a_server_that_cannot_be_reached_is_named_in_one_sentence() -> None:
    db = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    with pytest.raises(ConfigurationError, match=r"PostgreSQL cannot be reached: .*Check PDPP_DATABASE_URL"):
        db.check()


def test_a_connection_of_an_earlier_version_gets_its_lease_and_keeps_one_copy_of_a_rejection(
    create_empty: Callable[[str], Database],
) -> None:
    db = create_empty("connection_without_a_lease")
    migrate.upgrade(db, "0003")
    with db.begin() as connection:
        connection.execute(text("INSERT INTO connections (name, connector) VALUES ('mine', 'chatgpt')"))
        for run_id, key in ((1, "a"), (2, "a"), (2, "b")):
            connection.execute(
                text("""
                INSERT INTO rejections (connection_id, run_id, stream, key, error, raw)
                VALUES (1, :run_id, 'items', :key, 'wrong', 'same')
                """),
                {"run_id": run_id, "key": key},
            )

    migrate.upgrade(db)

    with db.begin() as connection:
        free = "SELECT connection_id, token, expires_at <= clock_timestamp() FROM leases"
        assert connection.execute(text(free)).all() == [(1, 0, True)]
        connection.execute(text("INSERT INTO connections (name, connector) VALUES ('new', 'chatgpt')"))
        as_fleet_user = "SELECT name, as_fleet_user FROM connections ORDER BY name"
        assert connection.execute(text(as_fleet_user)).all() == [("mine", True), ("new", False)]
        kept = connection.execute(text("SELECT key, run_id FROM rejections ORDER BY key")).all()
        assert kept == [("a", 2), ("b", 2)]
