"""From the notification of a due run to the first request that it sends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from random import Random

from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.dispatch import request_run
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.runs import DueRun
from pdpp_worker.store.views import run_views
from tests.support.waiting import until

_CEILING_MS = 1.0
"""The provider is this machine's own, and no wait for a turn is to be measured."""
_REST_S = (0.5, 2.5)
"""Between two notifications the fleet rests for a time within these bounds."""
_SEED = 7


def latencies_s(settings: Settings, db: Database, provider: ProviderProcess, times: int) -> Iterator[float]:
    """Notify of a run so many times; yields for each the seconds until the provider hears of it."""
    from pdpp_worker.tasks import doorbell

    row, spread = _connection(settings, db, provider), Random(_SEED)
    for _ in range(times + 1):
        time.sleep(spread.uniform(*_REST_S))
        heard = len(provider.log())
        run_id, _ = request_run(db, row, trigger="manual")
        with db.begin() as connection:
            due = run_views.one(connection, run_id)
        began = time.time()
        doorbell.notify(DueRun(run_id, due.connector))
        until(partial(_has_ended, db, run_id))
        yield provider.log(heard)[0].at - began


def _connection(settings: Settings, db: Database, provider: ProviderProcess) -> ConnectionRow:
    token = Vault(settings).seal(provider.options.token)
    with db.begin() as connection:
        values = {"base_url": provider.base_url}
        connections.add(connection, "rest", "chatgpt", values, {"access_token": token}, _CEILING_MS)
        return connections.get(connection, "rest")


def _has_ended(db: Database, run_id: int) -> bool:
    with db.begin() as connection:
        return run_views.one(connection, run_id).ended_at is not None
