"""Data of an older PostgreSQL is brought over, and kept."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded import major_upgrade
from pdpp_worker.local.embedded.account import make_directory, make_owned_directory
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.reference import Reference
from pdpp_worker.local.embedded.server import SUPERVISOR_LOCK
from tests.support.servers import temporary_data_dir
from tests.support.waiting import until

pytestmark = pytest.mark.process  # starts processes itself

NAMED = [Path(one) for one in os.environ.get("PDPP_TEST_OLD_POSTGRES", "").split(":") if one]
"""Directories with the programs of other versions, beside those of Debian."""
OLD = [path for path in [*NAMED, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))] if (path / "initdb").exists()]


@pytest.mark.skipif(not OLD, reason="an older PostgreSQL is not installed")
@pytest.mark.parametrize("old", OLD, ids=lambda path: path.parent.name)
def test_the_data_of_an_older_server_is_brought_over_and_kept_for_the_way_back(old: Path) -> None:
    with temporary_data_dir() as data_dir:
        server = Postgres(data_dir)
        make_directory(server.home)
        make_owned_directory(server.data, server.account)
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        server.run([str(old / "initdb"), "-D", str(server.data), *options])
        server.run([str(old / "postgres"), "--single", "-D", str(server.data), "postgres"], "create database pdpp\n")
        with major_upgrade._running(server, old / "postgres", server.data), connected(server) as connection:
            connection.execute("CREATE TABLE letters AS SELECT 'dear' AS text")

        with pytest.raises(ConfigurationError, match=r"of PostgreSQL \d+, .*db upgrade-server"):
            Reference(server)
        done = major_upgrade.upgrade(data_dir, old)
        with closing(Reference(server)), connected(server) as connection:
            assert connection.execute("SELECT text FROM letters").fetchall() == [("dear",)]

        assert done.new == server.program_version() != done.old
        assert (done.old_data / "PG_VERSION").read_text().strip() == done.old
        assert done.dump.stat().st_size > 0
        until(lambda: not locks.is_locked(server.home / SUPERVISOR_LOCK))
        server.data.rename(server.data.with_name("data.aside"))
        done.old_data.rename(server.data)
        with major_upgrade._running(server, old / "postgres", server.data), connected(server) as connection:
            assert connection.execute("SELECT text FROM letters").fetchall() == [("dear",)]


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
