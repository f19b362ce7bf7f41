"""The indexer: takes what was written since, and makes it findable."""

from __future__ import annotations

import time
from collections.abc import Callable

from pdpp_worker import registry
from pdpp_worker.store.engine import Database
from pdpp_worker.store.record_index import Fields, index_batch

BUDGET_S = 20.0
"""How long one tick may work, so that others of its queue have their turn."""


def index(db: Database, *, budget_s: float = BUDGET_S, clock: Callable[[], float] = time.monotonic) -> int:
    """Index what waits, batch by batch, for `budget_s` seconds at most; returns how many records."""
    end, done = clock() + budget_s, 0
    while clock() < end:
        with db.begin() as connection:
            indexed = index_batch(connection, fields_of)
        if indexed is None:
            break
        done += indexed
    return done


def fields_of(connector: str, stream: str) -> Fields:
    """The members that hold a record's own time and its thread, by the installed manifest."""
    found = registry.all_connectors().get(connector)
    declared = found.manifest.stream(stream) if found else None
    return Fields(declared.own_time_field, declared.thread_field) if declared else Fields(None, None)
