"""Connectors whose messages a test writes down, run through the real runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.connector import Check, Collect, Context, Message, OpenAhead, Record, Start, State
from pdpp_worker.dispatch import request_run
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.slice import SliceResult, run_slice
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.support.emptying import emptying_with_references

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ScriptedConnector(registry.Connector):
    """A connector whose code is a function of the test."""

    collect: Collect = None  # type: ignore[assignment]

    checks: Check | None = None
    """The function that tries an account, if it has one."""

    opens: OpenAhead | None = None
    """The function that opens a connection to the source ahead, if it has one."""

    def load(self) -> Collect:
        return self.collect

    def open_ahead(self) -> OpenAhead | None:
        return self.opens

    def check(self) -> Check | None:
        return self.checks


def manifest(*streams: Any, **fields: Any) -> Manifest:
    """A manifest with the given streams (names or whole stream objects)."""
    declared = [{"name": stream} if isinstance(stream, str) else stream for stream in streams or ("items",)]
    base = {"name": "scripted", "version": "1.0.0", "title": "Scripted", "checkpoint_commit": "incremental"}
    return Manifest.model_validate({**base, **fields, "streams": declared})


def record(key: str, stream: str = "items", **data: Any) -> Record:
    """A record with `id` and the given fields."""
    return Record(stream=stream, key=key, data={"id": key, **data}, emitted_at=NOW)


def state(cursor: Any, stream: str = "items") -> State:
    """A checkpoint."""
    return State(stream=stream, cursor=cursor)


_EMPTYING = emptying_with_references("connections", "records")


class Scenario:
    """One connection of a scripted connector."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> None:
        self._monkeypatch = monkeypatch
        self.settings = settings
        self.db = db
        self._redis = redis
        self.manifest = manifest()
        self.starts: list[Start] = []
        self.reset()

    def reset(self) -> None:
        """Begin with a new connection that holds nothing."""
        self.execute(_EMPTYING)
        with self.db.begin() as connection:
            self.connection_id = connections.add(connection, "mine", "scripted", {}, {})

    def install(
        self,
        script: Callable[[Start, Context], Iterator[Message]],
        given: Manifest | None = None,
        check: Check | None = None,
        open_ahead: OpenAhead | None = None,
    ) -> None:
        """Let the connection's connector do this from now on."""
        self.manifest = given or self.manifest

        def collect(start: Start, context: Context) -> Iterator[Message]:
            self.starts.append(start)
            return script(start, context)

        connector = ScriptedConnector(self.manifest, "scripted", collect, check, open_ahead)
        self._monkeypatch.setattr(registry, "all_connectors", lambda: {"scripted": connector})

    def send(self, *messages: Message) -> None:
        """Let the connector send these messages."""
        self.install(lambda _start, _context: iter(messages))

    def recover_with(self, *messages: Message) -> None:
        """Let the connector send these messages when it is asked for gaps, and find nothing new when it walks."""
        self.install(lambda start, _context: iter(messages if start.recovery_only else ()))

    def work(self) -> list[dict[str, Any]]:
        """Work every run that is queued to its end; returns their rows."""
        queued = [row["id"] for row in self.rows("SELECT id FROM runs WHERE ended_at IS NULL ORDER BY id")]
        return [self.finish(run_id) for run_id in queued]

    def finish(self, run_id: int) -> dict[str, Any]:
        """Work a run to its end, whatever it waits for; returns its row."""
        for _ in range(1000):
            self.execute("UPDATE runs SET not_before = now() WHERE id = :run_id", run_id=run_id)
            result = self.slice(run_id)
            if result is None or result.status is not None:
                break
        return self.row(run_id)

    def elapse(self) -> None:
        """Let every gap's wait be over."""
        self.execute("UPDATE gaps SET next_attempt_at = now() WHERE status = 'open' AND next_attempt_at IS NOT NULL")

    def execute(self, statement: str, **values: Any) -> None:
        """Execute a statement."""
        with self.db.begin() as connection:
            connection.execute(text(statement), values)

    def queue(self, *, full: bool = False) -> int:
        """Queue a forward run, or find the active one."""
        with self.db.begin() as connection:
            row = connections.get(connection, "mine")
        return request_run(self.db, row, trigger="manual", full=full)[0]

    def slice(self, run_id: int, *, stopping: bool = False, turn: int | None = None) -> SliceResult | None:
        """Work one slice of a run."""
        return run_slice(self.settings, self.db, self._redis, run_id, turn=turn, stopping=lambda: stopping)

    def run(self, *, full: bool = False) -> dict[str, Any]:
        """A whole run, slice by slice; returns its row."""
        run_id = self.queue(full=full)
        for _ in range(1000):
            result = self.slice(run_id)
            if result is None or result.status is not None:
                break
        return self.row(run_id)

    def expire_lease(self) -> None:
        """As if the worker had been dead for a while."""
        with self.db.begin() as connection:
            connection.execute(text("UPDATE leases SET expires_at = clock_timestamp()"))

    def row(self, run_id: int) -> dict[str, Any]:
        """A run's row."""
        return self.one("SELECT * FROM runs WHERE id = :run_id", run_id=run_id)

    def stream(self, run_id: int, stream: str = "items") -> dict[str, Any]:
        """The books of one stream of a run."""
        query = "SELECT * FROM run_streams WHERE run_id = :run_id AND stream = :stream"
        return self.one(query, run_id=run_id, stream=stream)

    def one(self, query: str, **values: Any) -> dict[str, Any]:
        """The one row of a query."""
        with self.db.begin() as connection:
            return dict(connection.execute(text(query), values).mappings().one())

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """All rows of a query."""
        with self.db.begin() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def held(self, stream: str = "items") -> dict[str, Any]:
        """Key to data of the records that are held and not deleted."""
        query = "SELECT key, data FROM records WHERE stream = :stream AND deleted_at IS NULL"
        return {row["key"]: row["data"] for row in self.rows(query, stream=stream)}

    def cursors(self) -> dict[str, str]:
        """Stream to committed cursor, as JSON text."""
        return {row["stream"]: row["cursor"] for row in self.rows("SELECT stream, cursor FROM checkpoints")}

    def gaps(self) -> list[dict[str, Any]]:
        """All gaps."""
        return self.rows("SELECT * FROM gaps ORDER BY id")
