"""Gaps whose time has come, in fair order.

The longest due comes first. A row that was tried is due later, twice as much later each time, so it sorts behind
those that were not, and a fresh gap sorts behind the old ones: no page of failing rows starves the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pdpp_worker.protocol.reasons import PRESSURE
from pdpp_worker.store.gaps.selection import IS_SELECTED, IS_WHOLE_STREAM, GapFilter, parameters
from pdpp_worker.store.run_states import IS_ACTIVE
from pdpp_worker.store.sql import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAGE = 1000
"""Gaps that are handed out or looked at in one go."""
COUNTED = 100_000
"""Beyond so many, a count is not worth its time."""

PRESSURE_REASONS = ", ".join(f"'{reason.value}'" for reason in sorted(PRESSURE))
# now(), not clock_timestamp(): only what is stable can be looked up in an index. While the provider wants a pause, what
# it refused for its limits waits, and nothing else does.
IS_TIMELY = "gaps.status = 'open' AND gaps.next_attempt_at <= now()"
IS_DUE = f"""
    {IS_TIMELY}
    AND (gaps.reason NOT IN ({PRESSURE_REASONS}) OR connections.cooldown_until IS NULL
        OR connections.cooldown_until <= now())
"""
IS_PRESSED = f"gaps.status = 'open' AND gaps.next_attempt_at IS NOT NULL AND gaps.reason IN ({PRESSURE_REASONS})"
_DUE_CONNECTIONS = text(f"""
    SELECT connections.id, connections.connector, page.resources, page.batches, page.streams
    FROM connections CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE scope ? 'resource_id') AS resources,
            count(*) FILTER (WHERE NOT scope ? 'resource_id' AND NOT {IS_WHOLE_STREAM}) AS batches,
            count(*) FILTER (WHERE {IS_WHOLE_STREAM}) AS streams, min(next_attempt_at) AS first
        FROM (SELECT scope, next_attempt_at FROM gaps
            WHERE gaps.connection_id = connections.id AND {IS_DUE} AND {IS_SELECTED}
                AND (CAST(:connectors AS text[]) = '{{}}'
                    OR (connections.connector, gaps.stream) IN (
                        SELECT * FROM unnest(CAST(:connectors AS text[]), CAST(:streams AS text[]))))
            ORDER BY gaps.next_attempt_at, gaps.id LIMIT {PAGE}) AS due
    ) AS page
    WHERE page.first IS NOT NULL AND (CAST(:connection_ids AS bigint[]) IS NULL
            OR connections.id = ANY(CAST(:connection_ids AS bigint[])))
        AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.connection_id = connections.id
            AND runs.{IS_ACTIVE})
        AND (:asked OR NOT EXISTS (SELECT 1 FROM schedules
            WHERE schedules.connection_id = connections.id AND (paused OR next_run_at <= now())))
    ORDER BY page.first LIMIT :limit
""")
_COUNT_DUE = text(f"""
    SELECT count(*) AS items, count(*) FILTER (WHERE scope ? 'resource_id') AS resources
    FROM (SELECT scope FROM gaps JOIN connections ON connections.id = gaps.connection_id
        WHERE gaps.connection_id = :connection_id AND {IS_DUE} AND {IS_SELECTED} LIMIT {COUNTED}) AS due
""")
_SUMMARY = text(f"""
    SELECT held.*,
        (SELECT cooldown_until FROM connections WHERE id = :connection_id AND cooldown_until > now()) AS cooldown_until,
        (SELECT id FROM runs WHERE connection_id = :connection_id AND {IS_ACTIVE}) AS active_run_id
    FROM (
        SELECT count(*) FILTER (WHERE closed_at IS NULL) AS missing,
            count(*) FILTER (WHERE closed_at IS NULL AND scope ? 'resource_id') AS items,
            count(*) FILTER (WHERE closed_at IS NULL AND {IS_WHOLE_STREAM}) AS whole_streams,
            count(*) FILTER (WHERE status = 'open' AND recovery_kind = 'retry_on_connector_upgrade'
                AND next_attempt_at IS NULL) AS by_upgrade,
            count(*) FILTER (WHERE status IN ('waived', 'absent_upstream')) AS closed_without_item
        FROM gaps WHERE connection_id = :connection_id AND {IS_SELECTED}
    ) AS held
""")


class DueConnection(NamedTuple):
    """A connection with gaps that may be tried now; how many of its first page name what."""

    connection_id: int
    connector: str
    resources: int
    batches: int
    streams: int


class DueCount(NamedTuple):
    """Gaps that may be tried now, and how many of them name one resource."""

    items: int
    resources: int


class GapSummary(NamedTuple):
    """A connection's gaps, and what keeps them from being tried now."""

    missing: int
    items: int
    """Of these, those that name one item."""
    whole_streams: int
    """Of these, those that are about a whole stream."""
    by_upgrade: int
    """Of these, those that wait for another version of the connector."""
    closed_without_item: int
    """Closed without the item: waived, or absent at the provider."""
    cooldown_until: datetime | None
    active_run_id: int | None


def due_connections(
    connection: Connection,
    limit: int,
    connection_ids: Sequence[int] | None = None,
    selection: GapFilter = GapFilter(),  # noqa: B008 - a tuple, which nobody can change
    *,
    asked: bool = False,
    known: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[DueConnection]:
    """Connections without a run of their own that have due gaps, longest due first.

    Unless somebody `asked` for them, not those that are paused or have a walk due, which retries gaps first.
    `known`: connector to its streams; other gaps are not looked at. Nobody could start a run for them, so they would
    stay first on every page.
    """
    pairs = [(connector, stream) for connector, streams in known.items() for stream in streams]
    values = {
        "limit": limit,
        "connection_ids": connection_ids and list(connection_ids),
        "asked": asked,
        "connectors": [connector for connector, _ in pairs],
        "streams": [stream for _, stream in pairs],
    }
    return [DueConnection(*row) for row in connection.execute(_DUE_CONNECTIONS, {**values, **parameters(selection)})]


def count_due(connection: Connection, connection_id: int, selection: GapFilter) -> DueCount:
    """How many gaps of a connection may be tried now; at most `COUNTED`."""
    values = {"connection_id": connection_id, **parameters(selection)}
    return DueCount(*connection.execute(_COUNT_DUE, values).one())


def summary(connection: Connection, connection_id: int, selection: GapFilter) -> GapSummary:
    """The selected gaps of a connection, and why they are not tried now."""
    return GapSummary(*connection.execute(_SUMMARY, {"connection_id": connection_id, **parameters(selection)}).one())
