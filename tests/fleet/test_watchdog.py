"""The watchdog in a real fleet: rung by beat, seen by Prometheus, and over once a worker comes."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from typing import Any

from sqlalchemy import text

from pdpp_worker.dispatch import request_run
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.support.fleet import beat, worker
from tests.support.logs import write_session
from tests.support.waiting import until

METRIC = 'pdpp_oldest_eligible_untouched_seconds{connection="logs"}'


def events(db: Database) -> list[Any]:
    """The events of the watchdog: type and cause."""
    query = "SELECT type, data ->> 'cause' FROM events WHERE type IN ('still', 'moving') ORDER BY id"
    with db.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def seconds_untouched(port: int) -> float:
    """The worker's metrics of the connection."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(METRIC)), 0.0)


def test_a_run_that_no_worker_takes_is_told_and_so_is_the_worker_that_comes(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    write_session(tmp_path / "projects", 1, 10)
    (tmp_path / "home").mkdir()
    values = {"projects_dir": str(tmp_path / "projects"), "claude_dir": str(tmp_path / "home")}
    with db.begin() as connection:
        row = connections.by_id(connection, connections.add(connection, "logs", "claude_code", values, {}))
    request_run(db, row, trigger="manual")
    with db.begin() as connection:
        connection.execute(text("UPDATE runs SET created_at = now() - interval '10 minutes'"))
    port = free_port()

    with beat(settings, tmp_path), worker(settings, tmp_path, "control", PDPP_METRICS_PORT=str(port)) as member:
        until(lambda: events(db)[-1:] == [("still", "no_worker")], member.process)
        until(lambda: seconds_untouched(port) > 590, member.process)
        with worker(settings, tmp_path, "local") as other:
            until(lambda: events(db)[-1:] == [("moving", None)], other.process)
            until(lambda: seconds_untouched(port) == 0, member.process, other.process)
