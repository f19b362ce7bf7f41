"""`python -m bench chatgpt`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from bench.chatgpt.conversation import large, served, write_export
from bench.ingest.side import Measure
from bench.machine import this_machine
from pdpp_worker.browser.launch import PROGRAMS
from pdpp_worker.embedded import EmbeddedServers, acquire
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

_console = Console(width=120, soft_wrap=True)


def chatgpt(
    megabytes: Annotated[int, typer.Option(min=1, help="Size of the conversation, MB.")] = 40,
    messages: Annotated[int, typer.Option(min=1, help="Messages in it; each has an emoji.")] = 10_000,
) -> None:
    """One very large conversation through the runtime, by each road: the worker's peak memory."""
    with (
        tempfile.TemporaryDirectory(prefix="pdpp-bench-") as folder,
        temporary_data_dir() as data_dir,
        acquire(Settings(data_dir=data_dir)) as servers,
    ):
        db = Database(servers.database_url)
        _console.print(str(this_machine(db.check())), highlight=False)
        migrate.upgrade(db)
        table = Table("road", "its letters", "status", "messages held", "s", "peak RSS, MB")
        for letters in ("escaped", "UTF-8"):
            conversation = large(megabytes, messages, ascii_only=letters == "escaped")
            export = Path(folder) / f"{letters}.zip"
            write_export(export, conversation)
            with served(conversation) as address:
                for road, given in _roads(address, export).items():
                    name = f"{road} {letters}".replace(" ", "-").lower()
                    measure = _load(servers, name, given, folder)
                    peak = f"{measure.peak_rss / 1e6:.0f}"
                    table.add_row(road, letters, *_found(db, name), f"{measure.seconds:.1f}", peak)
        _console.print(table)
        db.close()


def _roads(address: str, export: Path) -> dict[str, dict[str, Any]]:
    roads: dict[str, dict[str, Any]] = {"http": {"base_url": address}, "export": {"archive": str(export)}}
    if any(map(shutil.which, PROGRAMS)):
        roads["browser"] = {"base_url": address, "reach": "browser"}
    return roads


def _load(servers: EmbeddedServers, name: str, given: dict[str, Any], folder: str) -> Measure:
    asked = [name, json.dumps(given), folder, servers.database_url, servers.redis_url]
    command = [sys.executable, "-m", "bench.chatgpt.side", *asked]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measure(**json.loads(done.stdout))


def _found(db: Database, name: str) -> tuple[str, str]:
    query = """
        SELECT (SELECT status FROM runs WHERE connection_id = c.id ORDER BY id DESC LIMIT 1) AS status,
            (SELECT count(*) FROM records WHERE stream = 'messages' AND connection_id = c.id) AS messages
        FROM connections c WHERE c.name = :name
    """
    with db.begin() as connection:
        found = connection.execute(text(query), {"name": name}).mappings().one()
    return found["status"], f"{found['messages']:,}"
