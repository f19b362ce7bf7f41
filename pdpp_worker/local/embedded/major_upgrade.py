"""Brings the data of the embedded PostgreSQL to another major version: by a dump, with the old data kept aside."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded import postgres_tools
from pdpp_worker.local.embedded.database_roles import ROLE, SUPERUSER
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.server import ENVIRONMENT

_WAIT_S = 600.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Upgraded:
    """The end of an upgrade: where the old data is kept."""

    old: str
    new: str
    """Major versions."""
    old_data: Path
    """The directory of the old data, which was not changed."""
    dump: Path
    """The dump, in PostgreSQL's custom format."""


def upgrade(data_dir: Path, old_programs: Path | None) -> Upgraded:
    """Bring the data to the version that this program carries.

    The old directory is kept under another name; renaming it back, with the old programs, is the way back.

    Args:
        data_dir: the fleet's data directory; nobody uses its servers.
        old_programs: the directory of the old version's `postgres`; None: Debian's.

    Raises:
        ConfigurationError: there is nothing to upgrade, somebody uses the server, or the old programs are not there.
        PdppError: a server or a tool failed; the data is as it was.
    """
    server = Postgres(data_dir)
    with _alone(server):
        old, new = server.data_version(), server.program_version()
        if old is None or old == new:
            raise ConfigurationError(f"There is nothing to do: the data is of PostgreSQL {old or 'no version'}.")
        program = _old_program(old, old_programs)
        dumped = _dump(server, program, old)
        _fill_new(server, dumped)
        aside = server.data.with_name(f"data-{old}-{time.strftime('%Y%m%d-%H%M%S')}")
        server.data.rename(aside)
        _new(server).rename(server.data)
        return Upgraded(old, new, aside, dumped)


@contextmanager
def _alone(server: Postgres) -> Iterator[None]:
    """Keep everybody else from the server inside the block."""
    users = locks.try_lock(server.home / "users.lock") if server.home.exists() else None
    if users is None:
        raise ConfigurationError(f"The server in {server.home} is in use, or is not there; stop the fleet first.")
    try:
        yield
    finally:
        os.close(users)


def _old_program(version: str, folder: Path | None) -> Path:
    program = (folder or Path(f"/usr/lib/postgresql/{version}/bin")) / "postgres"
    if not program.exists():
        raise ConfigurationError(
            f"The programs of PostgreSQL {version} are needed once more, and {program} is not there. Install them (on "
            f"Debian: postgresql-{version}), or name their directory with --old-programs."
        )
    return program


def _dump(server: Postgres, program: Path, version: str) -> Path:
    dumped = server.home / f"before-upgrade-{version}-{time.strftime('%Y%m%d-%H%M%S')}.dump"
    with _running(server, program, server.data):
        postgres_tools.dump(server.url_of(SUPERUSER), dumped, ENVIRONMENT)
    dumped.chmod(0o600)
    return dumped


def _new(server: Postgres) -> Path:
    return server.data.with_name("data.new")


def _fill_new(server: Postgres, dumped: Path) -> None:
    server.make_cluster(_new(server))
    with _running(server, server.executable, _new(server)):
        postgres_tools.restore(server.url_of(ROLE), dumped, ENVIRONMENT)


@contextmanager
def _running(server: Postgres, program: Path, data: Path) -> Iterator[None]:
    """Run a server of some version on some data, at the usual socket."""
    server.prepare_socket()
    account = server.account
    command = [str(program), "-D", str(data), *server.options()]
    with (server.home / "upgrade.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    try:
        _await(server, process)
        yield
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(server.socket_directory, ignore_errors=True)


def _await(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not server.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise PdppError(f"PostgreSQL did not start; its log is {server.home / 'upgrade.log'}.")
        time.sleep(_LOOK_EVERY_S)
