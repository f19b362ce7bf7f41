"""One run over the archive in a process of its own, as a worker would work it: `python -m bench.slack.side`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

from pydantic import SecretStr

from bench.ingest.side import Measure, peak_rss
from pdpp_worker import logs
from pdpp_worker.dispatch import request_run
from pdpp_worker.errors import NotFoundError
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database

NAME = "bench-slack"


def main(database_url: str, redis_url: str, directory: str) -> None:
    """Work a run slice by slice, and print what it took."""
    settings = Settings(database_url=SecretStr(database_url), redis_url=SecretStr(redis_url), log_level="WARNING")
    logs.configure(settings)
    db, redis = Database(database_url), connect(redis_url, settings.broker_timeout_s)
    with db.begin() as connection:
        try:
            row = connections.get(connection, NAME)
        except NotFoundError:
            values = {"archive": directory, "run_slackdump": False}
            row = connections.by_id(connection, connections.add(connection, NAME, "slack", values, {}))
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
