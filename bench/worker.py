"""One run of a connection in a process of its own, as a worker would work it, so that its memory is its own.

`python -m bench.worker` reads a `Job` as JSON from standard input and prints what it came to, an `Outcome`, as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bench.alone import cpu_s
from bench.memory import watched
from pdpp_worker import logs
from pdpp_worker.dispatch import request_run
from pdpp_worker.errors import NotFoundError
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import run_views

CEILING_MS = 1.0
"""The providers are this machine's own."""


@dataclass(frozen=True)
class Job:
    """A connection to run once more, added where it is not there yet; `secrets` are those of a practice account."""

    name: str
    connector: str
    given: dict[str, Any]
    data_dir: str
    secrets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How the run ended, its time and processor time (s), and its peak RSS (bytes): of the worker and its children."""

    status: str
    slices: int
    new: int
    unchanged: int
    seconds: float
    cpu_s: float
    peak_rss: int


def work(database_url: str, redis_url: str, job: Job, **variables: str) -> Outcome:
    """Let a process of its own do the job, with the memory allocator set as for a worker of a fleet.

    `variables` are more variables of its environment.
    """
    command = [sys.executable, "-m", __name__, database_url, redis_url]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", **variables}
    done = subprocess.run(
        command, input=json.dumps(asdict(job)), stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return Outcome(**json.loads(done.stdout))


def main(database_url: str, redis_url: str) -> None:
    """Work a run slice by slice, and print what it came to."""
    job = Job(**json.load(sys.stdin))
    settings = Settings(
        data_dir=Path(job.data_dir),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        log_level="WARNING",
    )
    logs.configure(settings)
    db, redis = Database(database_url), connect(redis_url, settings.broker_timeout_s)
    row = _connection(settings, db, job)
    began, cpu = time.perf_counter(), cpu_s()
    with watched() as memory:
        run_id, _ = request_run(db, row, trigger="manual")
        while (result := run_slice(settings, db, redis, run_id, stopping=lambda: False)) and result.status is None:
            continue
    seconds, used = time.perf_counter() - began, cpu_s() - cpu
    with db.begin() as connection:
        view = run_views.one(connection, run_id)
    counts = view.slices, view.records_flushed, view.records_unchanged
    outcome = Outcome(view.status, *counts, seconds, used, memory.peak_rss)
    print(json.dumps(asdict(outcome)))
    redis.close()
    db.close()


def _connection(settings: Settings, db: Database, job: Job) -> ConnectionRow:
    vault = Vault(settings)
    with db.begin() as connection:
        try:
            return connections.get(connection, job.name)
        except NotFoundError:
            sealed = {name: vault.seal(secret) for name, secret in job.secrets.items()}
            connections.add(connection, job.name, job.connector, job.given, sealed, CEILING_MS)
            return connections.get(connection, job.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
