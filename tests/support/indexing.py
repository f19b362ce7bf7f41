"""The index, filled as it is once nothing has been collected for a while."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from pdpp_worker.search import indexer
from pdpp_worker.store.engine import Database
from pdpp_worker.store.record_index import LONGEST_WAIT_S

_AGE = text("UPDATE index_queue SET queued_at = queued_at - CAST(:age AS interval)")


def index_at_once(db: Database) -> int:
    """Index what waits; returns how many records."""
    age_queue(db, LONGEST_WAIT_S + 1)
    return indexer.index(db)


def age_queue(db: Database, seconds: float) -> None:
    """Let what waits to be indexed have waited for so much longer."""
    with db.begin() as connection:
        connection.execute(_AGE, {"age": timedelta(seconds=seconds)})
