"""Facts about each stream, counted by the server: records held, gaps, walks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pdpp_worker.store.run_states import IS_ACTIVE
from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection

StreamKey = tuple[int, str]
"""(connection id, stream)."""


@dataclass(frozen=True)
class GapGroup:
    """Unclosed gaps that are alike, as a count."""

    connection_id: int
    stream: str
    parent_stream: str | None
    """The stream of the record whose detail is missing."""
    reason: str
    recovery_kind: str
    exhausted: bool
    timed: bool
    fetching: bool
    """Whether a run that works now holds them."""
    connector_version_seen: str | None
    connector_version_required: str | None
    count: int
    resources: int
    """Gaps that name one resource; each other one stands for an unknown number of items."""
    whole_stream: bool
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    """The time at which the last of them is due."""


@dataclass(frozen=True)
class Covered:
    """Walked part of a stream; `intervals` are `[since, until)`, None where an end is open."""

    max_seen: datetime | None
    intervals: list[tuple[datetime | None, datetime | None]]
    last_walk_run_id: int | None
    last_walk_at: datetime | None
    last_walk_considered: int | None


@dataclass(frozen=True)
class EndedWalk:
    """The last walk of a stream that is over, however it ended."""

    run_id: int
    status: str
    ended_at: datetime
    finished: bool
    checkpoint_refused: bool
    error: str | None


class ClosedWithoutItem(NamedTuple):
    """Gaps of a stream that were closed without the item."""

    waived: int
    absent_upstream: int


_HELD = text("""
    SELECT connection_id, stream, records - deleted AS records FROM held_counts
    WHERE records > 0 AND connection_id = ANY(:ids)
""")
_IN_PART = text("""
    SELECT connection_id, stream, in_part AS records FROM held_counts WHERE in_part > 0 AND connection_id = ANY(:ids)
""")
# Gaps are counted in an index, by a number that gaps of one kind have in common; then one of each kind is looked up.
# OFFSET keeps the server from reading all gaps where it expects many kinds.
# Versions matter only to what waits for one.
_WAITS = "status = 'open' AND recovery_kind = 'retry_on_connector_upgrade'"
_MISSING = text(f"""
    WITH alike AS MATERIALIZED (
        SELECT gaps.connection_id, coalesce(leased_by_run_id = leases.run_id, false) AS fetching, count(*) AS count,
            min(gaps.id) AS example, min(next_attempt_at) AS first_at, max(next_attempt_at) AS last_at
        FROM gaps
        LEFT JOIN leases ON leases.connection_id = gaps.connection_id AND leases.expires_at > clock_timestamp()
        WHERE closed_at IS NULL AND gaps.connection_id = ANY(:ids)
        GROUP BY gaps.connection_id, likeness, fetching
    )
    SELECT gaps.connection_id, stream, parent_stream, reason, recovery_kind, status = 'exhausted' AS exhausted,
        next_attempt_at IS NOT NULL AS timed, fetching,
        CASE WHEN {_WAITS} THEN connector_version_seen END AS connector_version_seen,
        CASE WHEN {_WAITS} THEN connector_version_required END AS connector_version_required,
        sum(count)::bigint AS count,
        coalesce(sum(count) FILTER (WHERE scope ? 'resource_id'), 0)::bigint AS resources,
        bool_or(scope = '{{"partition": {{}}}}') AS whole_stream,
        min(first_at) AS next_attempt_at, max(last_at) AS last_attempt_at
    FROM alike CROSS JOIN LATERAL (SELECT * FROM gaps WHERE gaps.id = example OFFSET 0) AS gaps
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
""")
_CLOSED_WITHOUT_ITEM = text("""
    SELECT connection_id, stream, count(*) FILTER (WHERE status = 'waived') AS waived,
        count(*) FILTER (WHERE status = 'absent_upstream') AS absent_upstream
    FROM gaps WHERE status IN ('waived', 'absent_upstream') AND connection_id = ANY(:ids)
    GROUP BY connection_id, stream
""")
_COVERED = text("""
    SELECT connection_id, stream, max_seen, last_walk_run_id, last_walk_at, last_walk_considered,
        (SELECT coalesce(array_agg(lower(part) ORDER BY part), '{}') FROM unnest(intervals) AS part) AS since,
        (SELECT coalesce(array_agg(upper(part) ORDER BY part), '{}') FROM unnest(intervals) AS part) AS until
    FROM coverage WHERE connection_id = ANY(:ids)
""")
# Among the last walks only, one after the other (OFFSET keeps the two from being joined by their streams): for a stream
# that was never walked the whole history would be searched each time.
_ENDED_WALKS = text("""
    SELECT wanted.connection_id, wanted.stream, last.*
    FROM unnest(CAST(:ids AS bigint[]), CAST(:streams AS text[])) AS wanted (connection_id, stream)
    CROSS JOIN LATERAL (
        SELECT runs.id AS run_id, runs.status, runs.ended_at, walked.state = 'finished' AS finished,
            walked.checkpoints_staged > walked.checkpoints_committed AS checkpoint_refused,
            coalesce(walked.error, runs.error) AS error
        FROM (SELECT * FROM runs WHERE runs.connection_id = wanted.connection_id AND kind = 'forward'
            AND ended_at IS NOT NULL ORDER BY runs.id DESC LIMIT 10) AS runs
        CROSS JOIN LATERAL (SELECT * FROM run_streams
            WHERE run_streams.run_id = runs.id AND run_streams.stream = wanted.stream OFFSET 0) AS walked
        ORDER BY runs.id DESC LIMIT 1
    ) AS last
""")
_WALKING = text(f"""
    SELECT connection_id, id FROM runs
    WHERE connection_id = ANY(:ids) AND kind = 'forward' AND {IS_ACTIVE}
""")


def records_held(connection: Connection, ids: Sequence[int]) -> dict[StreamKey, int]:
    """The number of records of each stream, without those that the source deleted."""
    return {(row.connection_id, row.stream): row.records for row in connection.execute(_HELD, {"ids": list(ids)})}


def held_in_part(connection: Connection, ids: Sequence[int]) -> dict[StreamKey, int]:
    """The number of records of each stream of which only some fields are held."""
    return {(row.connection_id, row.stream): row.records for row in connection.execute(_IN_PART, {"ids": list(ids)})}


def missing(connection: Connection, ids: Sequence[int]) -> dict[StreamKey, list[GapGroup]]:
    """The unclosed gaps of each stream, in groups that are alike."""
    found: dict[StreamKey, list[GapGroup]] = {}
    for row in connection.execute(_MISSING, {"ids": list(ids)}).mappings():
        group = build(GapGroup, row)
        found.setdefault((group.connection_id, group.stream), []).append(group)
    return found


def closed_without_item(connection: Connection, ids: Sequence[int]) -> dict[StreamKey, ClosedWithoutItem]:
    """The gaps of each stream that were closed without the item."""
    rows = connection.execute(_CLOSED_WITHOUT_ITEM, {"ids": list(ids)})
    return {(row.connection_id, row.stream): ClosedWithoutItem(row.waived, row.absent_upstream) for row in rows}


def covered(connection: Connection, ids: Sequence[int]) -> dict[StreamKey, Covered]:
    """The walked part of each stream."""
    found: dict[StreamKey, Covered] = {}
    for row in connection.execute(_COVERED, {"ids": list(ids)}).mappings():
        intervals = list(zip(row["since"], row["until"], strict=True))
        found[row["connection_id"], row["stream"]] = build(Covered, {**row, "intervals": intervals})
    return found


def ended_walks(connection: Connection, streams: Collection[StreamKey]) -> dict[StreamKey, EndedWalk]:
    """The last ended walk of each of these streams; one that no walk has ended of is left out."""
    values: dict[str, Any] = {"ids": [key[0] for key in streams], "streams": [key[1] for key in streams]}
    rows = connection.execute(_ENDED_WALKS, values).mappings()
    return {(row["connection_id"], row["stream"]): build(EndedWalk, row) for row in rows}


def walking(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Connection to the run that walks it now, or is queued to."""
    return {row.connection_id: row.id for row in connection.execute(_WALKING, {"ids": list(ids)})}
