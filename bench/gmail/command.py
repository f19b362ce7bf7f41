"""`python -m bench gmail`."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console

from bench.gmail.mailbox import fill
from pdpp_worker.embedded import acquire
from pdpp_worker.settings import Settings
from tests.connectors.gmail import dovecot
from tests.support.servers import temporary_data_dir

MB = 1_000_000
USER = "large@example.com"

_console = Console(width=120, soft_wrap=True)


def gmail(megabytes: Annotated[int, typer.Option(min=1, help="Size of the mailbox, MB.")] = 1000) -> None:
    """A mailbox of a gigabyte through the runtime into PostgreSQL: peak memory of the worker, first and second run."""
    if dovecot.PROGRAM is None:
        raise typer.BadParameter(dovecot.ABSENT)
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with (
        tempfile.TemporaryDirectory(prefix="pdpp-bench-") as folder,
        temporary_data_dir() as data_dir,
        acquire(Settings(data_dir=data_dir)) as servers,
    ):
        root = Path(folder)
        root.chmod(0o755)
        with dovecot.running(root) as server:
            count = fill(root / "mail" / USER, megabytes * MB, account.pw_uid, account.pw_gid)
            os.chown(root / "mail" / USER, account.pw_uid, account.pw_gid)
            _console.print(f"{count:,} mails, {megabytes:,} MB")
            given = [servers.database_url, servers.redis_url, str(server.plain_port), str(root / "data")]
            for name in ("first run", "second run"):
                _measure(name, [sys.executable, "-m", "bench.gmail.side", USER, *given])


def _measure(name: str, command: list[str]) -> None:
    begun = time.monotonic()
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process, peak = psutil.Process(worker.pid), 0
    while worker.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    said = worker.communicate()[0].strip()
    _console.print(f"{name}: {said}; peak {peak / MB:.0f} MB; {time.monotonic() - begun:.0f} s", highlight=False)
    if worker.returncode:
        raise typer.Exit(1)
