"""Drops what is old: events, the history of rates, tries of gaps, earlier versions of records, and runs that nothing
refers to any more.

Records, gaps, coverage and deletions depend on none of it: a run stays while one of them names it, while it is the last
that walked a stream, and while it is one of its connection's last ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import TextClause, text

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database

PAGE = 5_000
"""Rows of a transaction: it is over soon, and keeps nobody waiting."""
BUDGET_S = 60.0
"""So long one tick may work, s; the next one goes on."""
LAST_RUNS = 50
"""Runs of a connection that are kept whatever their age."""

# Ids grow with time, so the oldest rows are those with the smallest: no index of times is needed.
_OLD_EVENTS = text("""
    DELETE FROM events WHERE at < clock_timestamp() - :days * interval '1 day'
        AND id IN (SELECT id FROM events ORDER BY id LIMIT :page)
""")
_OLD_RATES = text("""
    DELETE FROM rate_history WHERE at < clock_timestamp() - :days * interval '1 day'
        AND id IN (SELECT id FROM rate_history ORDER BY id LIMIT :page)
""")
_OLD_ATTEMPTS = text("""
    DELETE FROM gap_attempts WHERE (gap_id, place) IN (
        SELECT gap_id, place FROM gap_attempts WHERE at < now() - :days * interval '1 day' ORDER BY at LIMIT :page)
""")
_OLD_VERSIONS = text("""
    DELETE FROM record_versions WHERE (connection_id, stream, key, place) IN (
        SELECT connection_id, stream, key, place FROM record_versions
        WHERE replaced_at < now() - :days * interval '1 day' ORDER BY replaced_at LIMIT :page)
""")
_OLD_RUNS = text(f"""
    DELETE FROM runs WHERE id IN (
        SELECT old.id FROM runs AS old WHERE ended_at < now() - :days * interval '1 day'
            AND NOT coalesce(retry_hint ? 'budget_s', false)
            AND (SELECT count(*) FROM (SELECT 1 FROM runs AS later
                WHERE later.connection_id = old.connection_id AND later.id > old.id LIMIT {LAST_RUNS}) AS later
            ) = {LAST_RUNS}
            AND NOT EXISTS (SELECT 1 FROM gaps WHERE gaps.last_run_id = old.id AND closed_at IS NULL)
            AND NOT EXISTS (SELECT 1 FROM coverage
                WHERE coverage.connection_id = old.connection_id AND last_walk_run_id = old.id)
            AND NOT EXISTS (SELECT 1 FROM checkpoints
                WHERE checkpoints.connection_id = old.connection_id AND checkpoints.run_id = old.id)
            AND NOT EXISTS (SELECT 1 FROM source_members
                WHERE source_members.connection_id = old.connection_id AND source_members.run_id = old.id)
            AND NOT EXISTS (SELECT 1 FROM deletion_doubts
                WHERE deletion_doubts.connection_id = old.connection_id AND old.id IN (first_run_id, last_run_id))
            AND NOT EXISTS (SELECT 1 FROM run_streams AS own WHERE own.run_id = old.id AND NOT EXISTS (
                SELECT 1 FROM runs AS later JOIN run_streams AS walked ON walked.run_id = later.id
                WHERE later.connection_id = old.connection_id AND later.id > old.id AND later.kind = 'forward'
                    AND later.ended_at IS NOT NULL AND walked.stream = own.stream))
        ORDER BY old.ended_at LIMIT :page)
""")


@dataclass(frozen=True)
class Period:
    """A table of which old rows are dropped."""

    table: str
    days: int
    drop: TextClause


def periods(settings: Settings) -> list[Period]:
    """How long the rows of each table are kept; all others are kept for ever."""
    return [
        Period("events", settings.events_keep_days, _OLD_EVENTS),
        Period("rate_history", settings.events_keep_days, _OLD_RATES),
        Period("runs", settings.runs_keep_days, _OLD_RUNS),
        Period("gap_attempts", settings.events_keep_days, _OLD_ATTEMPTS),
        Period("record_versions", settings.runs_keep_days, _OLD_VERSIONS),
    ]


def prune(
    settings: Settings, db: Database, *, budget_s: float = BUDGET_S, clock: Callable[[], float] = time.monotonic
) -> dict[str, int]:
    """Drop what is old, page by page, for `budget_s` seconds at most; returns how many rows of each table."""
    end = clock() + budget_s
    return {period.table: _prune(db, period, end, clock) for period in periods(settings)}


def _prune(db: Database, period: Period, end: float, clock: Callable[[], float]) -> int:
    dropped = 0
    while clock() < end:
        with db.begin() as connection:
            page = connection.execute(period.drop, {"days": period.days, "page": PAGE}).rowcount
        dropped += page
        if page < PAGE:
            break
    return dropped
