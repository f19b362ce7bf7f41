"""PostgreSQL's own tools for keeping a database in a file: of the embedded server, or of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.server import packaged_file

# A server that does not know a way of compressing takes a dump that names none.
_FORM = ("--format=custom", "--no-owner", "--no-privileges", "--no-toast-compression")


def dump(url: str, file: Path, environment: Mapping[str, str]) -> None:
    """Write one state of the database into a file, in PostgreSQL's custom format; it may be in use meanwhile.

    Raises:
        ConfigurationError: the tool is not there.
        PdppError: with what the tool said, or why the server cannot be reached.
    """
    _run("pg_dump", url, environment, *_FORM, f"--file={file}")


def restore(url: str, file: Path, environment: Mapping[str, str]) -> None:
    """Put a dump into the database, in place of what has the same names, whole or not at all; raises as `dump`."""
    whole = ("--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    _run("pg_restore", url, environment, *whole, str(file))


def _run(name: str, url: str, environment: Mapping[str, str], *arguments: str) -> None:
    # A password in a command line could be read by everybody on this machine.
    known = conninfo_to_dict(url.replace("+psycopg", "", 1))
    secret = {"PGPASSWORD": str(known.pop("password"))} if "password" in known else {}
    tool = _tool(name, _major_of_server(url))
    command = [str(tool), f"--dbname={make_conninfo('', **known)}", *arguments]
    done = subprocess.run(command, env={**environment, **secret}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PdppError(f"{tool.name} failed: {(done.stderr or done.stdout).strip()}")


def _major_of_server(url: str) -> int:
    try:
        with psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=10) as connection:
            return connection.info.server_version // 10_000
    except psycopg.OperationalError as error:
        raise PdppError(f"PostgreSQL cannot be reached: {error}") from None


def _tool(name: str, major: int) -> Path:
    """The path of a tool of the server's own major version, which knows all that it keeps, or of a newer one."""
    found = {path: _version(path) for path in _candidates(name, major) if path.exists()}
    same = [path for path, version in found.items() if version == major]
    newer = [path for path, version in found.items() if version > major]
    if not same and not newer:
        raise ConfigurationError(
            f"{name} of PostgreSQL {major} or newer is needed. Install PostgreSQL's client programs of that version."
        )
    return (same or newer)[0]


def _candidates(name: str, major: int) -> Iterator[Path]:
    with suppress(ConfigurationError):
        yield packaged_file(Postgres.distribution, f"pginstall/bin/{name}")
    yield Path(f"/usr/lib/postgresql/{major}/bin/{name}")
    if (found := shutil.which(name)) is not None:
        yield Path(found)


def _version(tool: Path) -> int:
    said = subprocess.run([str(tool), "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.sub(r"\D*(\d+).*", r"\1", said, flags=re.DOTALL))
