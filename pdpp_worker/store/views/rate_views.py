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
# Those that are closed by now, and of the open ones those that the fleet retries by itself.
_PENDING = text("""
    WITH counted AS (
        SELECT greatest(opened_at, :since) AS opened_at, closed_at FROM gaps
        WHERE connection_id = :id AND (closed_at >= :since OR (closed_at IS NULL AND (stream, reason)
            IN (SELECT * FROM unnest(CAST(:streams AS text[]), CAST(:reasons AS text[])))))
    ), edges AS (
        SELECT opened_at AS at, 1 AS change FROM counted
        UNION ALL SELECT closed_at, -1 FROM counted WHERE closed_at IS NOT NULL
    ), steps AS (
        SELECT date_bin(CAST(:width AS interval), at, :since) AS at, sum(change) AS change FROM edges GROUP BY 1
    )
    SELECT least(at + CAST(:width AS interval), :until) AS at, (sum(change) OVER (ORDER BY at))::bigint AS pending
    FROM steps ORDER BY at
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
    streams, reasons = [stream for stream, _ in pending], [reason for _, reason in pending]
    asked = {"id": connection_id, "since": since, "until": until, "width": (until - since) / BUCKETS}
    rows = connection.execute(_PENDING, {**asked, "streams": streams, "reasons": reasons}).mappings()
    return [build(PendingPoint, row) for row in rows]
