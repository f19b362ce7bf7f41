"""The real server of the console in a thread, and who asks it: times of the whole answer, and of its SQL alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from sqlalchemy import Engine, event

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.web.web_server import Server
from tests.support.waiting import until


@dataclass(frozen=True)
class Asked:
    """One answer: how long all of it took, and its statements alone, ms; and its size."""

    total_ms: float
    sql_ms: float
    statements: int
    bytes: int
    server_cpu_ms: float
    """Processor time of the database's processes, which a busy machine does not inflate; parallel helpers left out."""


class ServerCpu:
    """The processor time that the processes of the embedded server have taken, ms."""

    def __init__(self, data: Path) -> None:
        self._postmaster = int((data / "postmaster.pid").read_text().split()[0])

    def __call__(self) -> float:
        """The time of those that are there now."""
        return sum(map(_cpu_ms, psutil.Process(self._postmaster).children()))


def _cpu_ms(process: psutil.Process) -> float:
    with suppress(OSError):
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e6
    return 0.0


class SqlTime:
    """The time of all statements since the last look, of whichever engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._took: list[float] = []
        event.listen(Engine, "before_cursor_execute", self._begin)
        event.listen(Engine, "after_cursor_execute", self._end)

    def take(self) -> list[float]:
        """Milliseconds of each statement since the last call."""
        with self._lock:
            took, self._took = self._took, []
        return took

    def _begin(self, _c: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        context.began = time.perf_counter()

    def _end(self, _c: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        with self._lock:
            self._took.append(1000 * (time.perf_counter() - context.began))


class Visitor:
    """A browser that is in, and asks one thing after the other."""

    def __init__(self, server: Server, sql: SqlTime, cpu: ServerCpu) -> None:
        self.http = httpx.Client(base_url=server.url, follow_redirects=True, timeout=120)
        self._sql, self._cpu = sql, cpu
        self.http.get(server.link()).raise_for_status()

    def get(self, path: str) -> Asked:
        """Ask for a page."""
        return self._timed("GET", path, {})

    def post(self, path: str, fields: Mapping[str, str]) -> Asked:
        """Ask by a form."""
        return self._timed("POST", path, fields)

    def _timed(self, method: str, path: str, fields: Mapping[str, str]) -> Asked:
        self._sql.take()
        cpu, began = self._cpu(), time.perf_counter()
        answer = self.http.request(method, path, data=dict(fields) or None)
        took = 1000 * (time.perf_counter() - began)
        answer.raise_for_status()
        statements = self._sql.take()
        return Asked(took, sum(statements), len(statements), len(answer.content), max(0.0, self._cpu() - cpu))


@contextmanager
def served(settings: Settings, db: Database) -> Iterator[Server]:
    """The console, as long as the block lasts."""
    server = Server(settings, db, address="127.0.0.1", port=0)
    inner: list[uvicorn.Server] = []
    thread = threading.Thread(target=server.run, args=(inner.append,))
    thread.start()
    until(lambda: inner and inner[0].started)
    try:
        yield server
    finally:
        inner[0].should_exit = True
        thread.join()
