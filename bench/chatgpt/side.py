"""One run over the account in a process of its own, as a worker would work it: `python -m bench.chatgpt.side`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from pydantic import SecretStr

from bench.chatgpt.conversation import TOKEN
from bench.ingest.side import Measure, peak_rss
from pdpp_worker import logs
from pdpp_worker.dispatch import request_run
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database


def main(name: str, given: str, data_dir: str, database_url: str, redis_url: str) -> None:
    """Work a run of the connection `name` with the settings `given` slice by slice, and print what it took."""
    settings = Settings(
        data_dir=Path(data_dir),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        log_level="WARNING",
    )
    logs.configure(settings)
    db, redis = Database(database_url), connect(redis_url, settings.broker_timeout_s)
    token = Vault(settings).seal(TOKEN)
    with db.begin() as connection:
        key = connections.add(connection, name, "chatgpt", json.loads(given), {"access_token": token}, 1.0)
        row = connections.by_id(connection, key)
    began, cpu = time.perf_counter(), time.process_time()
    run_id, _ = request_run(db, row, trigger="manual")
    while (result := run_slice(settings, db, redis, run_id, stopping=lambda: False)) and result.status is None:
        continue
    measure = Measure(time.perf_counter() - began, time.process_time() - cpu, peak_rss())
    print(json.dumps(asdict(measure)))
    redis.close()
    db.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
