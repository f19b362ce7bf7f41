"""One Slack connection through the runtime and its store."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis
from sqlalchemy import text

from pdpp_worker.dispatch import request_run
from pdpp_worker.recovery.sweep import recover
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.connectors.slack.account import Obj
from tests.connectors.slack.provider import TOKEN


class Fleet:
    """One connection, its runs and what is held."""

    def __init__(self, settings: Settings, db: Database, redis: Redis, **values: Any) -> None:
        self._parts = settings, db, redis
        self._db = db
        sealed = {"token": Vault(settings).seal(TOKEN)} if "base_url" in values else {}
        with db.begin() as connection:
            self.key = connections.add(connection, "work", "slack", values, sealed, 1.0)

    def set(self, **values: Any) -> None:
        """Other settings."""
        self.execute("UPDATE connections SET settings = settings || CAST(:more AS jsonb)", more=json.dumps(values))

    def run(self) -> str:
        """A run to its end; returns its status."""
        with self._db.begin() as connection:
            row = connections.by_id(connection, self.key)
        return self._work(request_run(self._db, row, trigger="manual")[0])

    def recover(self) -> str:
        """A recovery run to its end; returns its status."""
        settings, db, _ = self._parts
        (due,) = recover(settings, db, [self.key])
        return self._work(due.run_id)

    def _work(self, run_id: int) -> str:
        for _ in range(200):
            ended = run_slice(*self._parts, run_id, stopping=lambda: False)
            if ended is not None and ended.status is not None:
                return str(ended.status.value)
        raise AssertionError("the run has no end")

    def rows(self, query: str) -> list[dict[str, Any]]:
        """All rows of a query."""
        with self._db.begin() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]

    def execute(self, statement: str, **values: Any) -> None:
        """Any statement."""
        with self._db.begin() as connection:
            connection.execute(text(statement), values)

    def held(self, stream: str) -> dict[str, Obj]:
        """The live records of a stream."""
        query = f"SELECT key, data FROM records WHERE stream = '{stream}' AND deleted_at IS NULL"  # noqa: S608
        return {row["key"]: row["data"] for row in self.rows(query)}
