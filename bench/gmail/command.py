"""`python -m bench gmail`."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.gmail.mailbox import fill
from bench.worker import Job, Outcome, work
from pdpp_worker.local.embedded import acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
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
            db = Database(servers.database_url)
            migrate.upgrade(db)
            db.close()
            given = {"user": USER, "host": "127.0.0.1", "port": server.plain_port, "tls": "plain"}
            job = Job("large", "gmail", given, str(root / "data"), {"password": dovecot.PASSWORD})
            for name in ("first run", "second run"):
                _show(name, work(servers.database_url, servers.redis_url, job))


def _show(name: str, done: Outcome) -> None:
    counts = f"{done.status}, {done.slices} slices, {done.new:,} new, {done.unchanged:,} unchanged"
    _console.print(f"{name}: {counts}; peak {done.peak_rss / MB:.0f} MB; {done.seconds:.0f} s", highlight=False)
