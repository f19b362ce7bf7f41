"""The processes of `pdpp-worker up` with default settings, and several collect workers in place of one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from redis import Redis

from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.local.embedded import acquire
from pdpp_worker.local.fleet import worker_processes
from pdpp_worker.local.supervisor import ProcessSpec, Supervisor
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.servers import wait_until_stopped
from tests.support.waiting import until

COLLECTORS = 4
READY = b" ready."
COMMAND_S = 120.0


class RealFleet:
    """Workers, beat and the embedded servers of one data directory; wants to be used from the main thread."""

    def __init__(self, data_dir: Path, variables: dict[str, str], collectors: int = COLLECTORS) -> None:
        self._collectors = collectors
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PDPP_")}
        self.settings = Settings(data_dir=data_dir)
        self._stack = ExitStack()
        self.environment = {**inherited, "PDPP_DATA_DIR": str(data_dir), **variables}

    def start(self) -> None:
        """Start the servers, then the processes, and wait until every worker listens."""
        self._stack.callback(self._wait_for_servers)
        self._servers = self._stack.enter_context(acquire(self.settings))
        self.db = Database(self._servers.database_url)
        self._stack.callback(self.db.close)
        migrate.upgrade(self.db)
        specs = _processes(self.settings, self._collectors)
        self._supervisor = Supervisor(specs, self.settings.data_dir, self.environment)
        logs = [self._supervisor.log_path(spec.name) for spec in specs]
        heard = [_times_ready(log) for log in logs]
        self._stack.enter_context(self._supervisor)
        until(lambda: all(_times_ready(log) > before for log, before in zip(logs, heard, strict=True)))

    def stop(self) -> None:
        """Stop the processes as Ctrl-C does, and the servers with them."""
        self._stack.close()

    def poll(self) -> None:
        """Start again what ended, as `up` does."""
        self._supervisor.poll()

    def flush(self) -> None:
        """Empty Valkey: the bucket, and every message that no worker has taken yet."""
        with Redis.from_url(self._servers.redis_url) as redis:
            redis.flushall()

    def lose_bell(self, within_s: float) -> bool:
        """Take a message that was meant for a collect worker, if one comes in time; returns whether one did."""
        with Redis.from_url(self._servers.redis_url, db=0) as broker:
            return broker.blpop(["pdpp:collect"], timeout=within_s) is not None

    def command(self, *arguments: str) -> None:
        """A command of the program, as the owner types it. Raises CalledProcessError."""
        command = [sys.executable, "-m", "pdpp_worker", *arguments]
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL, timeout=COMMAND_S)

    def _wait_for_servers(self) -> None:
        for home in self.settings.data_dir.glob("embedded/*"):
            wait_until_stopped(home)


@contextmanager
def running(data_dir: Path, variables: dict[str, str], collectors: int = COLLECTORS) -> Iterator[RealFleet]:
    """A fleet that runs inside the `with`."""
    fleet = RealFleet(data_dir, variables, collectors)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()


def prefer(provider: ProviderProcess) -> None:
    """Let the provider run before all others, where this user may ask for that: it writes arrivals down in time."""
    assert provider.pid is not None
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, provider.pid, -15)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    children = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def _processes(settings: Settings, collectors: int) -> list[ProcessSpec]:
    made = {spec.name: spec for spec in worker_processes(settings)}
    names = [f"collect-{number}" for number in range(collectors)]
    return [made["control"], *(_renamed(made["collect"], name) for name in names)]


def _renamed(spec: ProcessSpec, name: str) -> ProcessSpec:
    named = f"--hostname={spec.name}@%h", f"--hostname={name}@%h"
    return ProcessSpec(name, tuple(named[1] if part == named[0] else part for part in spec.command))


def _times_ready(log: Path) -> int:
    return log.read_bytes().count(READY) if log.exists() else 0
