"""`python -m bench slack`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from bench.machine import this_machine
from bench.slack import archive
from bench.worker import Job, work
from pdpp_worker.local.embedded import acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

_console = Console(width=120, soft_wrap=True)


def slack(
    rows: Annotated[int, typer.Option(min=1, help="Rows of messages in the archive.")] = 574_274,
    versions: Annotated[int, typer.Option(min=1, help="How often each message lies in it.")] = 1,
) -> None:
    """A large slackdump archive, left by a run that died, through the runtime: rows/s and the worker's peak memory."""
    with (
        tempfile.TemporaryDirectory(prefix="pdpp-bench-") as folder,
        temporary_data_dir() as data_dir,
        acquire(Settings(data_dir=data_dir)) as servers,
    ):
        db = Database(servers.database_url)
        _console.print(str(this_machine(db.check())), highlight=False)
        migrate.upgrade(db)
        messages = archive.write(Path(folder), rows, versions)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        _console.print(f"{rows:,} rows of {messages:,} messages, {size / 1e6:,.0f} MB", highlight=False)
        table = Table("load", "status", "messages held", "records", "gaps", "s", "archive rows/s", "peak RSS, MiB")
        job = Job("large", "slack", {"archive": folder, "run_slackdump": False}, str(data_dir / "worker"))
        for load in ("first", "second"):
            done, found = work(servers.database_url, servers.redis_url, job), _found(db)
            speed = f"{rows / done.seconds:,.0f}" if load == "first" else "-"
            counts = (f"{found['messages']:,}", f"{found['records']:,}", str(found["gaps"]))
            peak = f"{done.peak_rss / 2**20:.0f}"
            table.add_row(load, done.status, *counts, f"{done.seconds:.1f}", speed, peak)
        _console.print(table)
        db.close()


def _found(db: Database) -> dict[str, Any]:
    query = """
        SELECT (SELECT count(*) FROM records WHERE stream = 'messages') AS messages,
            (SELECT count(*) FROM records) AS records, (SELECT count(*) FROM gaps WHERE closed_at IS NULL) AS gaps
    """
    with db.begin() as connection:
        return dict(connection.execute(text(query)).mappings().one())
