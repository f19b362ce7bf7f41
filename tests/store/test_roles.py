"""The roles that `db roles` makes: one works with them, and none has more than it needs."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis

from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.local.embedded.database_roles import SUPERUSER
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, roles
from pdpp_worker.store.engine import Database
from pdpp_worker.store.tables import metadata
from tests.support.scripted import Scenario, record, state


@pytest.fixture
def roles_made(db: Database, servers: EmbeddedServers) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the test's database, where the roles were made twice; they go at the end."""
    database = str(db.engine.url.database)
    url = servers._postgres.url_of(SUPERUSER).replace("+psycopg", "").replace("/pdpp?", f"/{database}?")
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(2):
            connection.execute("\n".join(roles.statements(database)))
        try:
            yield connection
        finally:
            connection.execute("RESET SESSION AUTHORIZATION")
            connection.execute(f'ALTER DATABASE "{database}" OWNER TO pdpp')
            for role in (roles.OWNER, roles.WORKER, roles.READER):
                connection.execute(f"REASSIGN OWNED BY {role} TO pdpp")
                connection.execute(f"DROP OWNED BY {role}")
                connection.execute(f"DROP ROLE {role}")


def as_role(connection: psycopg.Connection, role: str, query: str) -> list[tuple[object, ...]]:
    """The rows of a query of a role."""
    connection.execute(f"SET SESSION AUTHORIZATION {role}")
    try:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []
    finally:
        connection.execute("RESET SESSION AUTHORIZATION")


def test_whole_runs_work_under_the_role_that_works(
    roles_made: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    db: Database,
    servers: EmbeddedServers,
    redis: Redis,
) -> None:
    names = servers._postgres.data / "pg_ident.conf"  # who may be which role, without a password
    with names.open("a", encoding="utf-8") as file:
        file.write(f"pdpp {pwd.getpwuid(os.geteuid()).pw_name} {roles.WORKER}\n")
    roles_made.execute("SELECT pg_reload_conf()")
    works = Database(servers._postgres.url_of(roles.WORKER).replace("/pdpp?", f"/{db.engine.url.database}?"))
    monkeypatch.setattr(Scenario, "reset", lambda _self: None)  # only the tables' owner empties them
    scenario = Scenario(monkeypatch, settings, works, redis)
    with works.begin() as connection:
        connections.add(connection, "mine", "scripted", {}, {})
    for text in ("first", "changed"):
        scenario.send(record("a", text=text), record("b"), state(text))

        assert scenario.run()["status"] == "succeeded"

    with works.begin() as connection:
        role = connection.exec_driver_sql("SELECT current_user").scalar_one()
    assert (role, scenario.held()["a"]["text"]) == (roles.WORKER, "changed")
    works.close()


@pytest.mark.parametrize(
    "forbidden",
    [
        "DROP TABLE records",
        "ALTER TABLE records ADD x int",
        "TRUNCATE records",
        "DELETE FROM alembic_version",
        "UPDATE audit SET who = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ],
)
def test_the_role_that_works_changes_no_schema(roles_made: psycopg.Connection, forbidden: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(roles_made, roles.WORKER, forbidden)


def test_the_role_that_looks_writes_nothing_and_sees_no_ciphertext(roles_made: psycopg.Connection) -> None:
    roles_made.execute(
        "INSERT INTO connections (name, connector, credentials) VALUES ('mine', 'x', '{\"token\": \"enc:abc\"}')"
    )
    seen: list[object] = []
    for table in metadata.tables.values():
        names = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in roles.HIDDEN)
        seen += as_role(roles_made, roles.READER, f"SELECT {names} FROM {table.name}")  # noqa: S608

    assert "mine" in str(seen)
    assert "enc:" not in str(seen)
    for forbidden in (
        "SELECT credentials FROM connections",
        "SELECT connections::text FROM connections",
        "UPDATE connections SET name = 'x'",
        "DELETE FROM records",
        "INSERT INTO events (type) VALUES ('x')",
        "CREATE TABLE mine (a int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(roles_made, roles.READER, forbidden)


def test_the_role_that_owns_the_schema_migrates_it(roles_made: psycopg.Connection) -> None:
    as_role(roles_made, roles.OWNER, "CREATE TABLE newer (a int)")

    assert as_role(roles_made, roles.WORKER, "SELECT * FROM newer") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(roles_made, roles.READER, "SELECT * FROM newer")
