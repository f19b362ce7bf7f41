"""An embedded server of either kind: its directory, its account, its socket."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded.account import Account, account_for, check_reach, make_owned_directory, reachable_copy

# A socket's path may have 103 bytes on macOS and 107 on Linux, and appears in URLs that not every library unquotes.
_SOCKET_PATH = re.compile(r"[A-Za-z0-9/._-]{1,103}")
_PLACE = "socket.place"
"""The file with the home and the directory of the socket, a line each."""

ENVIRONMENT = {"PATH": os.defpath}
"""The environment of a server: nothing that could change it, and none of the owner's secrets."""
START_LOCK = "start.lock"
"""Held by who starts a server, or asks whether it has a supervisor."""
SUPERVISOR_LOCK = "guardian.lock"
"""The lock of a server's supervisor. Supervisors that other versions started hold it by this name."""


class Server(ABC):
    """One embedded server in one data directory.

    `home` holds the lock files and the log and belongs to the caller; `data` and the socket's directory belong to the
    account that the server runs as. Nothing listens on a network port.
    """

    name: ClassVar[str]
    """The name of the server's directory."""
    program_name: ClassVar[str]
    """The name of the server's process."""
    distribution: ClassVar[str]
    """The package that carries the program."""
    socket_name: ClassVar[str]

    def __init__(self, data_dir: Path) -> None:
        self.home = data_dir.resolve() / "embedded" / self.name
        self.data = self.home / "data"
        self.log = self.home / "server.log"

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client can use the server now."""

    @abstractmethod
    def program(self) -> Path:
        """The server's program inside its package."""

    @cached_property
    def account(self) -> Account | None:
        """The account to run as; None: the caller's own."""
        return account_for(self.data)

    @cached_property
    def executable(self) -> Path:
        """The server's program, or a copy of it when its account cannot reach it in its package."""
        program = self.program()
        copy = self.home / f"install-{importlib.metadata.version(self.distribution)}"
        return reachable_copy(program, _package(self.distribution), copy, self.account)

    @property
    def socket_directory(self) -> Path:
        """The directory of the server's socket: in `home`, or among the temporary files if that path will not do.

        Its place is kept in `home`: other processes may have another directory for temporary files.
        """
        near = self.home / "socket"
        if _SOCKET_PATH.fullmatch(str(near / self.socket_name)):
            return near
        return self._kept_place() or self._place_elsewhere()

    def _kept_place(self) -> Path | None:
        """The place that was kept for this very directory, and not for one that it is a copy of."""
        with suppress(OSError, ValueError):
            home, place = (self.home / _PLACE).read_text(encoding="utf-8").splitlines()
            return Path(place) if home == str(self.home) else None
        return None

    def _place_elsewhere(self) -> Path:
        digest = hashlib.sha256(bytes(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()).resolve() / f"pdpp-worker-{digest}"

    def _keep_place(self) -> None:
        """Keep the place of the socket, which nobody uses now; choose another if its parent is gone."""
        place = self.socket_directory
        if not place.parent.is_dir():
            place = self._place_elsewhere()
        if place.parent != self.home:
            (self.home / _PLACE).write_text(f"{self.home}\n{place}\n", encoding="utf-8")

    @property
    def socket(self) -> Path:
        """The path of the server's socket."""
        return self.socket_directory / self.socket_name

    def prepare(self) -> None:
        """Make all that the server needs to start.

        Raises:
            ConfigurationError: the package is missing, or a directory cannot be used.
            PdppError: an earlier server does not end.
        """
        self.prepare_socket()
        _ = self.executable  # found here, where the user hears of it if that fails
        self.initialise()

    def prepare_socket(self) -> None:
        """Make the directory of the socket, and remove what an earlier server left; raises as `prepare`."""
        self._keep_place()
        self.clear()
        if self.account is not None:
            check_reach(self.account, self.home)
        make_owned_directory(self.socket_directory, self.account)

    def initialise(self) -> None:
        """Create the data directory if there is none."""
        make_owned_directory(self.data, self.account)

    def clear(self) -> None:
        """Remove the remains of an earlier server, the server itself included."""
        from pdpp_worker.local.embedded import orphans  # who only uses a server that runs looks for none

        orphans.stop(self.data, self.program_name)
        for stale in self.socket_directory.glob(f"{self.socket_name}*"):
            stale.unlink()

    def run(self, command: list[str], stdin: str = "") -> str:
        """Run one of the server's tools to its end, as the server's account; returns what it said.

        Raises:
            ConfigurationError: it failed; with what it said.
        """
        account = self.account
        result = subprocess.run(
            command,
            input=stdin,
            cwd="/",
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if result.returncode:
            said = (result.stderr or result.stdout).strip()
            raise ConfigurationError(f"{self.name} could not be set up in {self.home}: {said}")
        return result.stderr


def _package(distribution: str) -> Path:
    """The directory of an installed package; it is not imported, since only its files are wanted.

    Raises:
        ConfigurationError: it is not installed.
    """
    spec = importlib.util.find_spec(distribution.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"The embedded servers need the package {distribution}. Install pdpp-worker[embedded], or set "
            "PDPP_DATABASE_URL and PDPP_REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def packaged_file(distribution: str, pattern: str) -> Path:
    """The one file of an installed package that matches a pattern.

    Raises:
        ConfigurationError: the package is not installed, or has no program for this kind of machine.
    """
    found = next(iter(_package(distribution).glob(pattern)), None)
    if found is None:
        raise ConfigurationError(
            f"The installed package {distribution} has no program for this machine. Set PDPP_DATABASE_URL and "
            "PDPP_REDIS_URL to servers of your own."
        )
    return found
