"""The fleet of `pdpp-worker up` with its default settings, and the time from a run's request to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from pdpp_worker.local.embedded import acquire
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.support.waiting import until

_RUN = text("""
    SELECT status, extract(epoch FROM ended_at - created_at)::float AS seconds FROM runs
    WHERE id > :before AND trigger = 'manual' AND ended_at IS NOT NULL
""")
_LATEST = text("SELECT coalesce(max(id), 0) FROM runs")


@dataclass(frozen=True)
class Ran:
    """How a run ended, its time from its request to its end, and the CPU time of the whole fleet meanwhile (s)."""

    status: str
    seconds: float
    cpu_s: float


class DefaultFleet:
    """Workers, beat and embedded servers of a data directory."""

    def __init__(self, settings: Settings, database_url: str, up: psutil.Process, environment: dict[str, str]) -> None:
        self._settings = settings
        self._up = up
        self._environment = environment
        self.db = Database(database_url)

    def connect(self, name: str, connector: str, given: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        """Add a connection."""
        sealed = {key: Vault(self._settings).seal(secret) for key, secret in secrets.items()}
        with self.db.begin() as connection:
            connections.add(connection, name, connector, dict(given), sealed)

    def run(self, name: str) -> Ran:
        """Let the fleet collect a connection, to the end of its run.

        Raises:
            sqlalchemy.exc.NoResultFound: no run that was asked for has ended.
        """
        with self.db.begin() as connection:
            latest = connection.execute(_LATEST).scalar_one()
        before = self._cpu_s()
        command = [sys.executable, "-m", "pdpp_worker", "run", name]
        subprocess.run(command, env=self._environment, stdout=subprocess.DEVNULL, check=False)
        after = self._cpu_s()
        with self.db.begin() as connection:
            row = connection.execute(_RUN, {"before": latest}).one()
        return Ran(row.status, row.seconds, after - before)

    def held(self) -> dict[str, int]:
        """The records that are held, by stream."""
        query = text("SELECT stream, count(*) FROM records WHERE deleted_at IS NULL GROUP BY stream ORDER BY stream")
        with self.db.begin() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def _cpu_s(self) -> float:
        """CPU time of the processes of the fleet and of its servers, children that have ended included."""
        own = self._settings.data_dir
        servers = [one for one in psutil.process_iter(["cmdline"]) if str(own) in " ".join(one.info["cmdline"] or [])]
        tree = {one.pid: one for root in (self._up, *servers) for one in (root, *root.children(recursive=True))}
        total = 0.0
        for one in tree.values():
            with suppress(psutil.NoSuchProcess):  # it has ended since
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total


@contextmanager
def default_fleet(data_dir: Path) -> Iterator[DefaultFleet]:
    """A fleet that runs inside the `with`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PDPP_")}
    environment = {**inherited, "PDPP_DATA_DIR": str(data_dir)}
    settings, log = Settings(data_dir=data_dir), data_dir.parent / "up.log"
    command = [sys.executable, "-m", "pdpp_worker", "up"]
    with acquire(settings) as servers, log.open("w") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            worker = data_dir / "logs" / "collect.log"
            until(lambda: worker.exists() and b" ready." in worker.read_bytes(), process)
            fleet = DefaultFleet(settings, servers.database_url, psutil.Process(process.pid), environment)
            yield fleet
            fleet.db.close()
        finally:
            process.terminate()
            process.wait()
