"""A fleet of real worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from pdpp_worker.settings import Settings
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
_NUMBERS = count()


def environment(settings: Settings, **extra: str) -> dict[str, str]:
    """The environment that makes a process use these settings."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    assert settings.broker_url is not None
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PDPP_")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PDPP_DATA_DIR": str(settings.data_dir),
        "PDPP_DATABASE_URL": settings.database_url.get_secret_value(),
        "PDPP_REDIS_URL": settings.redis_url.get_secret_value(),
        "PDPP_BROKER_URL": settings.broker_url.get_secret_value(),
        "PDPP_LEASE_S": str(settings.lease_s),
        "PDPP_DISPATCH_EVERY_S": str(settings.dispatch_every_s),
        "PDPP_SWEEP_EVERY_S": str(settings.sweep_every_s),
        "PDPP_GAP_BACKOFF_S": str(settings.gap_backoff_s),
        "PDPP_PACING_COLD_START_MS": str(settings.pacing_cold_start_ms),
        "PDPP_BATCH_S": str(settings.batch_s),
        **extra,
    }


class Member:
    """One process of a test's fleet, with its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """Its output so far."""
        return self._log.read_text(errors="replace")

    def __repr__(self) -> str:
        return f"{self.process} with the log\n{self.log}\n"

    def poll(self) -> int | None:
        """Its status, or None while it runs."""
        return self.process.poll()

    def wait_for(self, text: str) -> None:
        """Wait until its log holds the text."""
        until(lambda: text in self.log, self)

    def kill(self) -> None:
        """End it and its children at once, as a machine that dies would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def celery(
    settings: Settings, tmp_path: Path, *arguments: str, within: Sequence[str] = (), **extra: str
) -> Iterator[Member]:
    """A Celery process (`worker …`, `beat …`) of the app; `within` comes before its command line."""
    log = tmp_path / f"{arguments[0]}-{len(list(tmp_path.iterdir()))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "celery", "-A", "pdpp_worker", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(settings, **extra),
            cwd=ROOT,
            start_new_session=True,
        )
    member = Member(process, log)
    try:
        yield member
    finally:
        member.kill()


def worker(
    settings: Settings,
    tmp_path: Path,
    queues: str = "control,collect,local",
    *,
    within: Sequence[str] = (),
    **extra: str,
) -> Any:
    """A worker on the given queues; use it in a `with`."""
    # RabbitMQ lets no two workers of one name listen to commands.
    name = f"{queues}-{os.getpid()}-{next(_NUMBERS)}@%h"
    options = ("-Q", queues, "-P", "threads", "-c", "4", "-n", name, "-l", "INFO")
    return celery(settings, tmp_path, "worker", *options, within=within, **extra)


def beat(settings: Settings, tmp_path: Path, **extra: str) -> Any:
    """A beat; use it in a `with`."""
    return celery(settings, tmp_path, "beat", "-S", "celery.beat:Scheduler", "-l", "INFO", **extra)
