"""`python -m bench chatgpt`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from bench.chatgpt.conversation import TOKEN, large, served, write_export
from bench.machine import this_machine
from bench.worker import Job, work
from pdpp_worker.browser.launch import PROGRAMS
from pdpp_worker.local.embedded import acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

_console = Console(width=120, soft_wrap=True)


def chatgpt(
    megabytes: Annotated[int, typer.Option(min=1, help="Size of the conversation, MB.")] = 40,
    messages: Annotated[int, typer.Option(min=1, help="Messages in it; each has an emoji.")] = 10_000,
) -> None:
    """One very large conversation through the runtime, by each transport: the worker's peak memory."""
    with (
        tempfile.TemporaryDirectory(prefix="pdpp-bench-") as folder,
        temporary_data_dir() as data_dir,
        acquire(Settings(data_dir=data_dir)) as servers,
    ):
        db = Database(servers.database_url)
        _console.print(str(this_machine(db.check())), highlight=False)
        migrate.upgrade(db)
        table = Table("transport", "its letters", "status", "messages held", "s", "peak RSS, MB")
        for letters in ("escaped", "UTF-8"):
            conversation = large(megabytes, messages, ascii_only=letters == "escaped")
            export = Path(folder) / f"{letters}.zip"
            write_export(export, conversation)
            with served(conversation) as address:
                for transport, given in _transports(address, export).items():
                    name = f"{transport} {letters}".replace(" ", "-").lower()
                    job = Job(name, "chatgpt", given, folder, {"access_token": TOKEN})
                    done = work(servers.database_url, servers.redis_url, job)
                    peak = f"{done.peak_rss / 1e6:.0f}"
                    table.add_row(transport, letters, done.status, _held(db, name), f"{done.seconds:.1f}", peak)
        _console.print(table)
        db.close()


def _transports(address: str, export: Path) -> dict[str, dict[str, Any]]:
    transports: dict[str, dict[str, Any]] = {"http": {"base_url": address}, "export": {"archive": str(export)}}
    if any(map(shutil.which, PROGRAMS)):
        transports["browser"] = {"base_url": address, "reach": "browser"}
    return transports


def _held(db: Database, name: str) -> str:
    query = """
        SELECT count(*) FROM records JOIN connections ON connections.id = connection_id
        WHERE stream = 'messages' AND connections.name = :name
    """
    with db.begin() as connection:
        return f"{connection.execute(text(query), {'name': name}).scalar_one():,}"
