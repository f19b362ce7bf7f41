"""The embedded PostgreSQL asks who a client is, and the program is no superuser in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from pdpp_worker.local.embedded.account import make_directory, make_owned_directory
from pdpp_worker.local.embedded.database_roles import SUPERUSER
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.reference import Reference
from tests.support.servers import temporary_data_dir

pytestmark = pytest.mark.process  # starts processes itself

_OF_BEFORE = """\
create table letters (id bigint generated always as identity, text text)
create view short as select text from letters
create function hello() returns text language sql return 'hello'
insert into letters (text) values ('dear')
"""


@pytest.fixture(scope="module")
def of_before() -> Iterator[Postgres]:
    """A server whose directory an earlier version made, which let in everybody as the superuser."""
    with temporary_data_dir() as data_dir:
        server = Postgres(data_dir)
        make_directory(server.home)
        make_owned_directory(server.data, server.account)
        program = str(server.executable)
        initdb = str(server.executable.with_name("initdb"))
        server.run([initdb, "-D", str(server.data), "--username=postgres", "--auth=trust", "--encoding=UTF8"])
        server.run([program, "--single", "-D", str(server.data), "postgres"], "create database pdpp\n")
        server.run([program, "--single", "-D", str(server.data), "pdpp"], _OF_BEFORE)
        with closing(Reference(server)):
            yield server


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A client of the server."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        yield connection


def test_the_program_is_no_superuser_and_owns_what_an_earlier_version_made(of_before: Postgres) -> None:
    with connected(of_before.url) as connection:
        (role,) = connection.execute(
            "SELECT rolname, rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchall()
        connection.execute("ALTER TABLE letters ADD more text")
        connection.execute("DROP VIEW short")
        connection.execute("DROP FUNCTION hello()")
        connection.execute("INSERT INTO letters (text) VALUES ('again')")

        assert role == ("pdpp", False)
        assert connection.execute("SELECT count(*) FROM letters").fetchall() == [(2,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("COPY letters TO PROGRAM 'cat'")


def test_an_earlier_version_beside_it_goes_on_working(of_before: Postgres) -> None:
    with connected(of_before.url_of(SUPERUSER)) as connection:
        assert connection.execute("SELECT text FROM letters WHERE id = 1").fetchall() == [("dear",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_of_the_machine_is_refused_even_at_the_socket(of_before: Postgres) -> None:
    psql = str(of_before.executable.with_name("psql"))
    said = subprocess.run(
        [psql, "-h", str(of_before.socket_directory), "-U", "pdpp", "-c", "SELECT 1"],
        user=of_before.data.stat().st_uid,  # the server's own account, which can enter the directory
        group=of_before.data.stat().st_gid,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Peer authentication failed" in said.stderr


def test_a_directory_stays_as_it_is_at_the_next_start(of_before: Postgres) -> None:
    before = (of_before.data / "pg_hba.conf").read_text()

    of_before._guard(of_before.data)

    assert (of_before.data / "pg_hba.conf").read_text() == before
    assert "trust" not in before
    assert not list(Path(of_before.data).glob("*.new"))
