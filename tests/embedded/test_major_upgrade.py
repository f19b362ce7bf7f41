"""Data of an older PostgreSQL is brought over, and kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded import major_upgrade
from pdpp_worker.local.embedded.account import make_directory, make_owned_directory
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.reference import Reference
from tests.support.servers import temporary_data_dir

pytestmark = pytest.mark.process  # starts processes itself

OLD = next((path for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (path / "initdb").exists()), None)


@pytest.mark.skipif(OLD is None, reason="an older PostgreSQL is not installed")
def test_the_data_of_an_older_server_is_brought_over_and_kept() -> None:
    assert OLD is not None
    with temporary_data_dir() as data_dir:
        server = Postgres(data_dir)
        make_directory(server.home)
        make_owned_directory(server.data, server.account)
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        server.run([str(OLD / "initdb"), "-D", str(server.data), *options])
        server.run([str(OLD / "postgres"), "--single", "-D", str(server.data), "postgres"], "create database pdpp\n")
        with major_upgrade._running(server, OLD / "postgres", server.data), connected(server) as connection:
            connection.execute("CREATE TABLE letters AS SELECT 'dear' AS text")

        with pytest.raises(ConfigurationError, match=rf"of PostgreSQL {OLD.parent.name}.*db upgrade-server"):
            Reference(server)
        done = major_upgrade.upgrade(data_dir, None)
        with closing(Reference(server)), connected(server) as connection:
            assert connection.execute("SELECT text FROM letters").fetchall() == [("dear",)]

        assert (done.old, done.new) == (OLD.parent.name, server.program_version())
        assert (done.old_data / "PG_VERSION").read_text().strip() == done.old
        assert done.dump.stat().st_size > 0


def test_without_the_old_programs_nothing_is_touched() -> None:
    with temporary_data_dir() as data_dir:
        server = Postgres(data_dir)
        make_directory(server.data)
        (server.data / "PG_VERSION").write_text("9\n")

        with pytest.raises(ConfigurationError, match=r"The programs of PostgreSQL 9 are needed once more"):
            major_upgrade.upgrade(data_dir, None)

        assert [path.name for path in server.data.iterdir()] == ["PG_VERSION"]


def connected(server: Postgres) -> psycopg.Connection[tuple[str]]:
    """A client of the server."""
    return psycopg.connect(server.url.replace("+psycopg", ""))
