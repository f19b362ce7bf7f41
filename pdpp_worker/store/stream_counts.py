"""Counts, from the rows, what a run did in each stream."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from pdpp_worker.store.batch import Claim


@dataclass(frozen=True)
class StreamCounts:
    """Counts of one stream in a run, from the rows."""

    stream: str
    emitted: int
    flushed: int
    unchanged: int
    rejected: int
    staged: int
    committed: int
    progress_count: int | None
    progress_total: int | None
    skipped_by_reason: dict[str, int]
    all_gaps_are_resources: bool
    holds_records: bool
    next_attempt_at: datetime | None


# A rejected record is counted as rejected; its gap leads back to it and is not counted again.
# An update that changes nothing returns the rows that are there.
_COUNTS = text("""
    WITH touched AS (
        INSERT INTO run_streams AS held (run_id, stream) SELECT :run_id, unnest(CAST(:streams AS text[])) AS stream
        ORDER BY stream ON CONFLICT (run_id, stream) DO UPDATE SET stream = held.stream
        RETURNING *
    )
    SELECT touched.*, coalesce(missing.by_reason, '{}') AS by_reason,
        coalesce(missing.resources, true) AS resources, missing.next_attempt_at,
        EXISTS (SELECT 1 FROM records WHERE connection_id = :connection_id AND records.stream = touched.stream
            AND deleted_at IS NULL) AS holds_records
    FROM touched
    LEFT JOIN (
        SELECT stream, jsonb_object_agg(reason, count) AS by_reason, bool_and(resources) AS resources,
            min(next_attempt_at) AS next_attempt_at
        FROM (
            SELECT stream, reason, count(*), bool_and(scope ? 'resource_id') AS resources,
                min(next_attempt_at) FILTER (WHERE status = 'open') AS next_attempt_at
            FROM gaps WHERE last_run_id = :run_id AND closed_at IS NULL AND reason <> 'record_rejected'
            GROUP BY stream, reason
        ) AS counted GROUP BY stream
    ) AS missing ON missing.stream = touched.stream
    ORDER BY touched.stream
""")
# A gap that the owner waived meanwhile was not closed by the run.
_GAPS_CLOSED = text("""
    SELECT count(*) FROM gaps WHERE last_run_id = :run_id AND status IN ('recovered', 'absent_upstream')
""")
_FAILED_PARTITIONS = text("""
    SELECT scope -> 'partition' AS partition FROM gaps
    WHERE last_run_id = :run_id AND connection_id = :connection_id AND closed_at IS NULL
        AND scope -> 'partition' <> '{}' ORDER BY id LIMIT :limit
""")


def read(connection: Connection, claim: Claim, streams: Collection[str]) -> list[StreamCounts]:
    """Count what the run did, stream by stream; every stream in scope has a row, touched or not."""
    values = {"run_id": claim.run_id, "connection_id": claim.connection_id, "streams": sorted(streams)}
    rows = connection.execute(_COUNTS, values)
    return [
        StreamCounts(
            stream=row.stream,
            emitted=row.records_emitted,
            flushed=row.records_flushed,
            unchanged=row.records_unchanged,
            rejected=row.records_rejected,
            staged=row.checkpoints_staged,
            committed=row.checkpoints_committed,
            progress_count=row.progress_count,
            progress_total=row.progress_total,
            skipped_by_reason=row.by_reason,
            all_gaps_are_resources=row.resources,
            holds_records=row.holds_records,
            next_attempt_at=row.next_attempt_at,
        )
        for row in rows
    ]


def gaps_closed(connection: Connection, claim: Claim) -> int:
    """How many gaps the run closed."""
    return int(connection.execute(_GAPS_CLOSED, {"run_id": claim.run_id}).scalar_one())


def failed_partitions(connection: Connection, claim: Claim, limit: int) -> list[dict[str, Any]]:
    """Parts of the source that the run could not read; at most `limit`."""
    values = {"run_id": claim.run_id, "connection_id": claim.connection_id, "limit": limit}
    return list(connection.execute(_FAILED_PARTITIONS, values).scalars())
