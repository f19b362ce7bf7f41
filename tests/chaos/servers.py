"""A PostgreSQL and a Valkey of an episode's own, on loopback, that can be killed, frozen and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
from redis import Redis
from redis.exceptions import RedisError

from pdpp_worker.local.embedded.account import Account
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.server import ENVIRONMENT, Server
from pdpp_worker.local.embedded.valkey import Valkey
from tests.support.waiting import PATIENCE_S, until

HOST = "127.0.0.1"


DISK = "400m"


@contextmanager
def small_disk(at: Path) -> Iterator[None]:
    """A disk of its own at a directory, where root may mount one in memory; else the directory alone."""
    at.mkdir(mode=0o711)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=711", "tmpfs", str(at)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(at)], check=True)  # noqa: S607


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


class ServerProcess(ABC):
    """One server and its children."""

    def __init__(self, packaged: Server) -> None:
        self.port = free_port()
        self.listens = [HOST]
        """The addresses at which it takes connections."""
        self._packaged = packaged
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client can use it now."""

    def start(self) -> None:
        """Start it and wait until it answers."""
        account: Account | None = self._packaged.account
        with self._packaged.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        until(self.answers, self._process)

    def kill(self) -> None:
        """End all of it at once, as the loss of power would."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._process = None

    def freeze(self) -> None:
        """Stop all of it where it stands; its sockets stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for one in (psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)


class PostgresProcess(ServerProcess):
    """PostgreSQL, whose database is the cluster's own."""

    def __init__(self, home: Path, other: Server | None = None) -> None:
        """`other`: one of another version."""
        packaged = other or Postgres(home)
        packaged.home.mkdir(parents=True, mode=0o711)
        packaged.prepare()
        with (packaged.data / "pg_hba.conf").open("a") as access:  # it is reached through a port
            access.write(f"host all all {HOST}/32 trust\n")
        super().__init__(packaged)
        self._ballast = home / "ballast"

    @property
    def url(self) -> str:
        """Its address, for SQLAlchemy."""
        return self.url_at(self.port)

    def url_at(self, port: int, host: str = HOST) -> str:
        """Its address through another port, or by another address of this machine."""
        return f"postgresql+psycopg://postgres@{host}:{port}/pdpp"

    def command(self) -> list[str]:
        changed = {
            "port": str(self.port),
            "listen_addresses": ",".join(self.listens),
            "max_wal_size": "64MB",  # a disk may be small
            "fsync": "off",  # no power is cut here; a killed process loses nothing that it wrote
        }
        return [*self._packaged.command(), *(f"--{name}={value}" for name, value in changed.items())]

    def start(self) -> None:
        self._packaged.clear()
        super().start()

    def fill_disk(self) -> None:
        """Leave no room on its disk, unless it shares that with others."""
        if not self._ballast.parent.is_mount():
            return
        free = shutil.disk_usage(self._ballast.parent).free
        with self._ballast.open("wb") as ballast, suppress(OSError):
            os.posix_fallocate(ballast.fileno(), 0, free)

    def empty_disk(self) -> None:
        """Give the room back; a server that has ended for the want of it is started again."""
        self._ballast.unlink(missing_ok=True)
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def admit(self, address: str, network: str) -> None:
        """Listen at one more address from the next start on, and let in who comes from a network."""
        self.listens.append(address)
        with (self._packaged.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {network} trust\n")

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


class ValkeyProcess(ServerProcess):
    """Valkey, which paces in database 1 and carries messages in database 0; it keeps nothing over a restart."""

    def __init__(self, home: Path, other: Server | None = None) -> None:
        """`other`: one of another kind."""
        packaged = other or Valkey(home)
        packaged.home.mkdir(parents=True, mode=0o711)
        packaged.prepare()
        super().__init__(packaged)

    @property
    def redis_url(self) -> str:
        """The pacing database."""
        return f"redis://{HOST}:{self.port}/1"

    @property
    def broker_url(self) -> str:
        """The broker."""
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        return [*self._packaged.command(), "--port", str(self.port), "--bind", *self.listens, "--protected-mode", "no"]

    def answers(self) -> bool:
        with Redis.from_url(self.redis_url, socket_timeout=5) as client, suppress(RedisError):
            return bool(client.ping())
        return False

    def flush(self) -> None:
        """Empty it, if it answers."""
        with Redis.from_url(self.redis_url, socket_timeout=5) as client, suppress(RedisError):
            client.flushall()
