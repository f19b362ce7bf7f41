"""Learned rates, as they were last stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from pdpp_worker.store.views.reading import build


class RateRow(NamedTuple):
    """A connection's rate as it was last known."""

    state: dict[str, Any]
    updated_at: datetime


@dataclass(frozen=True)
class RateBucket:
    """The rate of a connection over a part of a period; a part in which nothing was noted is left out."""

    at: datetime
    fastest_ms: float
    slowest_ms: float
    ceiling_ms: float | None
    quota_per_minute: float | None
    refusals: int
    retry_after_s: float | None
    """The longest pause that the provider asked for."""


@dataclass(frozen=True)
class PendingPoint:
    """How many gaps were pending at a moment."""

    at: datetime
    pending: int


BUCKETS = 120
_HISTORY = text("""
    SELECT date_bin(CAST(:width AS interval), at, :since) AS at, min(interval_ms) AS fastest_ms,
        max(interval_ms) AS slowest_ms, max(ceiling_ms) AS ceiling_ms, max(quota_per_minute) AS quota_per_minute,
        count(DISTINCT refused_at) FILTER (WHERE refused_at >= date_bin(CAST(:width AS interval), at, :since))
            AS refusals, max(retry_after_s) FILTER (WHERE refused_at >= :since) AS retry_after_s
    FROM rate_history WHERE connection_id = :id AND at >= :since GROUP BY 1 ORDER BY 1
""")
# Gaps that are closed by now, and open ones that the fleet retries by itself, are counted by both of their times at
# once: the table is read once, and only sums are sorted.
_PENDING = text("""
    WITH counted AS MATERIALIZED (
        SELECT width_bucket(opened_at, CAST(:bounds AS timestamptz[])) AS opened,
            width_bucket(closed_at, CAST(:bounds AS timestamptz[])) AS closed, count(*) AS gaps
        FROM gaps
        WHERE connection_id = :id AND (closed_at >= :since OR (closed_at IS NULL
            AND (stream || ' ' || reason) = ANY(CAST(:pending AS text[]))))
        GROUP BY 1, 2
    ), edges AS (
        SELECT greatest(opened, 1) AS part, gaps AS change FROM counted
        UNION ALL SELECT closed, -gaps FROM counted WHERE closed IS NOT NULL
    ), steps AS (
        SELECT part, sum(change) AS change FROM edges GROUP BY part
    )
    SELECT (CAST(:bounds AS timestamptz[]))[part] + CAST(:width AS interval) AS at,
        (sum(change) OVER (ORDER BY part))::bigint AS pending
    FROM steps ORDER BY part
""")
_ROWS = text("""
    SELECT connection_id, state, updated_at FROM rate_states WHERE connection_id = ANY(:ids)
""")


def read(connection: Connection, ids: Sequence[int]) -> dict[int, RateRow]:
    """Connection to its rate; one that has sent nothing yet is left out."""
    found = connection.execute(_ROWS, {"ids": list(ids)})
    return {row.connection_id: RateRow(row.state, row.updated_at) for row in found}


def history(connection: Connection, connection_id: int, since: datetime, until: datetime) -> list[RateBucket]:
    """The rate of a connection over a period, in `BUCKETS` parts at most."""
    width: timedelta = (until - since) / BUCKETS
    values = {"id": connection_id, "since": since, "width": width}
    return [build(RateBucket, row) for row in connection.execute(_HISTORY, values).mappings()]


def burn_down(
    connection: Connection, connection_id: int, pending: Collection[tuple[str, str]], since: datetime, until: datetime
) -> list[PendingPoint]:
    """The pending gaps over a period, at the moments at which their number changed.

    `pending` are the streams and reasons of open gaps that the fleet retries by itself. A gap that is closed by now
    counts as pending until then, whatever kept it open.
    """
    width: timedelta = (until - since) / BUCKETS
    bounds = [since + number * width for number in range(BUCKETS)]
    named = [f"{stream} {reason}" for stream, reason in pending]
    values = {"id": connection_id, "since": since, "bounds": bounds, "width": width, "pending": named}
    rows = connection.execute(_PENDING, values).mappings()
    return [build(PendingPoint, row) for row in rows]
