"""A PostgreSQL and a Valkey of an episode's own, on loopback, that can be killed, frozen and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress
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


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


class ServerProcess(ABC):
    """One server and its children."""

    def __init__(self, packaged: Server) -> None:
        self.port = free_port()
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
        until(self.answers)

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

    @property
    def url(self) -> str:
        """Its address, for SQLAlchemy."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Its address through another port."""
        return f"postgresql+psycopg://postgres@{HOST}:{port}/pdpp"

    def command(self) -> list[str]:
        changed = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "fsync": "off",  # no power is cut here; a killed process loses nothing that it wrote
        }
        return [*self._packaged.command(), *(f"--{name}={value}" for name, value in changed.items())]

    def start(self) -> None:
        self._packaged.clear()
        super().start()

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
        return [*self._packaged.command(), "--port", str(self.port), "--bind", HOST]

    def answers(self) -> bool:
        with Redis.from_url(self.redis_url, socket_timeout=5) as client, suppress(RedisError):
            return bool(client.ping())
        return False

    def flush(self) -> None:
        """Empty it."""
        with Redis.from_url(self.redis_url, socket_timeout=5) as client:
            client.flushall()
