"""The product: a connector that reads the records, through the runtime, slice by slice, to the end of its run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from pydantic import SecretStr

from bench.ingest import data
from bench.ingest.schema import SCHEMA
from pdpp_worker import logs, registry
from pdpp_worker.connector import Collect, Context, Message, Reason, Record, ResourceScope, Start, State, skip
from pdpp_worker.dispatch import request_run
from pdpp_worker.errors import NotFoundError
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database

TABLE = "records"

_NAME = "bench"
_STATE_EVERY = 2000
_GAP_EVERY = 1000
_MANIFEST = Manifest.model_validate(
    {
        "name": _NAME,
        "version": "1.0.0",
        "title": "Benchmark",
        "checkpoint_commit": "incremental",
        "settings": {"folder": {"title": "Where the records are", "type": "path", "required": True}},
        "streams": [{"name": data.STREAM, "schema": SCHEMA, "cursor_field": data.CURSOR_FIELD}],
    }
)


@dataclass(frozen=True)
class _Connector(registry.Connector):
    def load(self) -> Collect:
        return _collect


def load(database_url: str, redis_url: str, folder: str) -> None:
    """Load all records: one run that walks the stream from its beginning."""
    settings = Settings(database_url=SecretStr(database_url), redis_url=SecretStr(redis_url), log_level="WARNING")
    logs.configure(settings)
    db, redis = Database(database_url), connect(redis_url, settings.broker_timeout_s)
    with patch.object(registry, "all_connectors", lambda: {_NAME: _Connector(_MANIFEST, __name__)}):
        run_id, _ = request_run(db, _connection(db, Path(folder)), trigger="manual", full=True)
        while (result := run_slice(settings, db, redis, run_id, stopping=lambda: False)) and result.status is None:
            pass
    redis.close()
    db.close()


def _connection(db: Database, folder: Path) -> ConnectionRow:
    with db.begin() as connection:
        try:
            return connections.get(connection, _NAME)
        except NotFoundError:
            connections.add(connection, _NAME, _NAME, {"folder": str(folder)}, {})
            return connections.get(connection, _NAME)


def _collect(start: Start, context: Context) -> Iterator[Message]:
    """Every record; a checkpoint every 2,000 of them, and a gap every 1,000."""
    place = start.cursor(data.STREAM) or {"offset": 0, "count": 0}
    collected = datetime.now(UTC)
    count, folder = place["count"], Path(context.settings["folder"])
    for item, offset in data.read(folder, place["offset"]):
        yield Record(stream=data.STREAM, key=item["id"], data=item, emitted_at=collected)
        count += 1
        if count % _GAP_EVERY == 0:
            yield skip(data.STREAM, Reason.UPSTREAM_ERROR, ResourceScope(resource_id=f"after-{item['id']}"))
        if count % _STATE_EVERY == 0:
            yield State(stream=data.STREAM, cursor={"offset": offset, "count": count})
