"""A process's reference to an embedded server: while one exists, the server runs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pdpp_worker
from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded.account import make_directory
from pdpp_worker.local.embedded.server import START_LOCK, SUPERVISOR_LOCK, Server

logger = logging.getLogger(__name__)

_STOP_S = 180.0
_START_S = 900.0
"""Recovery of a big database after a crash can take this long; a server that cannot start at all is noticed at once."""
_SAY_SO_AFTER_S = 10.0
_LOOK_EVERY_S = 0.05
_LOG_LINES = 20


class Reference:
    """Keeps an embedded server running until `close`, or the end of this process and those it forked.

    Raises:
        ConfigurationError: the server's package or a usable directory is missing.
        PdppError: the server does not start; with the end of its log.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._users: int | None = _join(server)
        try:
            self.ensure()
        except BaseException:
            self.close()
            raise

    def ensure(self) -> None:
        """Start the server if it does not run, and wait until it answers; raises as the constructor does."""
        try:
            with locks.locked(self._server.home / START_LOCK, timeout_s=_START_S):
                self._ensure()
        except TimeoutError as error:
            raise _not_started(self._server) from error

    def _ensure(self) -> None:
        started = time.monotonic()
        said = spawned = False
        while not (supervised := self._is_supervised()) or not self._server.answers():
            waited = time.monotonic() - started
            if waited > _START_S or (spawned and not supervised):
                raise _not_started(self._server)
            if not supervised:
                self._spawn_supervisor()
                spawned = True
            if waited > _SAY_SO_AFTER_S and not said:
                logger.warning("waiting for %s to start; its log is %s", self._server.name, self._server.log)
                said = True
            time.sleep(_LOOK_EVERY_S)

    def _is_supervised(self) -> bool:
        """Whether the server has a supervisor. Ask under the start lock: the question locks for a moment."""
        return locks.is_locked(self._server.home / SUPERVISOR_LOCK)

    def _spawn_supervisor(self) -> None:
        self._server.prepare()
        data_dir = self._server.home.parent.parent
        command = [
            sys.executable,
            "-m",
            "pdpp_worker.local.embedded.server_supervisor",
            self._server.name,
            str(data_dir),
        ]
        # The package may be importable only from the directory that holds it.
        subprocess.run(command, cwd=Path(pdpp_worker.__file__).parent.parent, check=True)

    def outlive_exec(self) -> None:
        """Let the program that this process becomes go on using the server, until it ends."""
        if self._users is not None:
            os.set_inheritable(self._users, True)

    def close(self) -> None:
        """Let go; the server stops when nobody holds it."""
        if self._users is not None:
            os.close(self._users)
            self._users = None


def _join(server: Server) -> int:
    """Become one of the server's users, once a supervisor that is stopping it has done so: the lock's descriptor."""
    try:
        make_directory(server.home)
        return locks.lock(server.home / "users.lock", shared=True, timeout_s=_STOP_S)
    except TimeoutError as error:
        raise PdppError(f"{server.name} is still being stopped; its log is {server.log}.") from error
    except OSError as error:
        raise ConfigurationError(
            f"The data directory cannot be used: {error}. Set PDPP_DATA_DIR to a directory that this account can write."
        ) from error


def _not_started(server: Server) -> PdppError:
    try:
        lines = server.log.read_text(errors="replace").splitlines()
    except OSError as error:
        lines = [str(error)]
    end = "\n".join(lines[-_LOG_LINES:])
    return PdppError(f"{server.name} did not start. Its log, {server.log}, ends with:\n{end}")
