"""One worker: the connection's run, slice by slice, by the runtime that the fleet uses."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import SecretStr

from pdpp_worker import logs
from pdpp_worker.dispatch import request_run
from pdpp_worker.errors import NotFoundError
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, migrate, readmodels
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from tests.connectors.gmail.dovecot import PASSWORD


def main(user: str, database_url: str, redis_url: str, port: str, data_dir: str) -> None:
    """Run once; prints the status and the counts."""
    settings = Settings(
        data_dir=Path(data_dir),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        log_level="WARNING",
    )
    logs.configure(settings)
    db = Database(database_url)
    migrate.upgrade(db)
    row = _connection(settings, db, user, port)
    run_id = request_run(db, row, trigger="manual", full=False)[0]
    redis = connect(redis_url, 5.0)
    while (result := run_slice(settings, db, redis, run_id, stopping=lambda: False)) is None or result.status is None:
        pass
    with db.begin() as connection:
        view = readmodels.run_view(connection, run_id)
    print(f"{result.status}, {view.slices} slices, {view.records_flushed:,} new, {view.records_unchanged:,} unchanged")
    db.close()


def _connection(settings: Settings, db: Database, user: str, port: str) -> ConnectionRow:
    try:
        with db.begin() as connection:
            return connections.get(connection, "large")
    except NotFoundError:
        given = {"user": user, "host": "127.0.0.1", "port": int(port), "tls": "plain"}
        password = Vault(settings).seal(PASSWORD)
        with db.begin() as connection:
            connections.add(connection, "large", "gmail", given, {"password": password}, 1.0)
            return connections.get(connection, "large")


if __name__ == "__main__":
    main(*sys.argv[1:])
