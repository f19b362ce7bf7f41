"""The tables. Everything is keyed by the connection: one account of one owner at one platform."""

from __future__ import annotations

from pdpp_worker.store.tables.columns import metadata
from pdpp_worker.store.tables.schema_of_connections import (
    audit,
    connections,
    connector_queues,
    events,
    fleet_processes,
    leases,
    notices,
    rate_history,
    rate_states,
    removals,
    schedules,
    source_members,
)
from pdpp_worker.store.tables.schema_of_gaps import gap_attempts, gaps
from pdpp_worker.store.tables.schema_of_index import index_queue, month_counts, record_index
from pdpp_worker.store.tables.schema_of_records import (
    checkpoints,
    coverage,
    deletion_doubts,
    held_counts,
    record_versions,
    records,
    rejections,
)
from pdpp_worker.store.tables.schema_of_runs import run_streams, runs

__all__ = [
    "audit",
    "checkpoints",
    "connections",
    "connector_queues",
    "coverage",
    "deletion_doubts",
    "events",
    "fleet_processes",
    "gap_attempts",
    "gaps",
    "held_counts",
    "index_queue",
    "leases",
    "metadata",
    "month_counts",
    "notices",
    "rate_history",
    "rate_states",
    "record_index",
    "record_versions",
    "records",
    "rejections",
    "removals",
    "run_streams",
    "runs",
    "schedules",
    "source_members",
]
