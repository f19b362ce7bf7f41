"""Tables of runs, and of the streams of each run."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store.run_states import IS_ACTIVE, RUN_STATUSES
from pdpp_worker.store.tables.columns import connection, metadata, moment, one_of

"""The SQL condition for a run that is not over; one of them exists for a connection."""
RUN_KINDS = ("forward", "recovery")
RUN_TRIGGERS = ("schedule", "sweep", "manual", "upgrade")
RUN_PHASES = ("recover", "walk", "drain")

_COUNTS = (
    "records_emitted",
    "records_flushed",
    "records_unchanged",
    "records_rejected",
    "skipped",
    "unreached",
    "checkpoints_staged",
    "checkpoints_committed",
)


def _counts() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in _COUNTS]


_BALANCE = "records_flushed + records_unchanged + records_rejected + skipped + unreached"

runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    connection(),
    Column("kind", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("streams", JSONB, nullable=False),
    Column("phase", Text, nullable=False, server_default="recover"),
    Column("selection", JSONB, nullable=False, server_default="{}"),
    Column("carried", JSONB, nullable=False, server_default="{}"),
    Column("budget", JSONB, nullable=False, server_default="{}"),
    Column("spent_s", Double, nullable=False, server_default="0"),
    Column("spent_requests", BigInteger, nullable=False, server_default="0"),
    Column("spent_items", BigInteger, nullable=False, server_default="0"),
    Column("gaps_closed", BigInteger, nullable=False, server_default="0"),
    Column("connector_version", Text, nullable=False),
    moment("created_at", default=True),
    moment("started_at"),
    moment("ended_at"),
    moment("not_before", default=True),
    Column("wait_reason", Text),
    moment("touched_at"),
    moment("rung_at"),
    Column("slices", Integer, nullable=False, server_default="0"),
    Column("idle_slices", Integer, nullable=False, server_default="0"),
    Column("died_slices", Integer, nullable=False, server_default="0"),
    Column("still_slices", Integer, nullable=False, server_default="0"),
    Column("cancel_requested", Boolean, nullable=False, server_default="false"),
    *_counts(),
    Column("records_durable", BigInteger, nullable=False, server_default="0"),
    Column("records_missing_estimate", BigInteger),
    Column("skipped_by_reason", JSONB, nullable=False, server_default="{}"),
    Column("messages_refused", JSONB, nullable=False, server_default="{}"),
    Column("unfinished_streams", Integer, nullable=False, server_default="0"),
    Column("retry_hint", JSONB),
    Column("error", Text),
    one_of("status", RUN_STATUSES),
    one_of("kind", RUN_KINDS),
    one_of("trigger", RUN_TRIGGERS),
    one_of("phase", RUN_PHASES),
    one_of("mode", ("full_refresh", "incremental")),
    CheckConstraint(f"(ended_at IS NULL) = ({IS_ACTIVE})", name="ended"),
    CheckConstraint(f"ended_at IS NULL OR records_emitted + skipped + unreached = {_BALANCE}", name="books_balance"),
    CheckConstraint(
        "status <> 'succeeded' OR (skipped = 0 AND unreached = 0 AND records_rejected = 0 "
        "AND unfinished_streams = 0 AND checkpoints_staged = checkpoints_committed)",
        name="succeeded_misses_nothing",
    ),
    CheckConstraint(
        "status <> 'failed' OR (records_durable = 0 AND checkpoints_committed = 0 AND gaps_closed = 0)",
        name="failed_holds_nothing",
    ),
    Index("uq_runs_active", "connection_id", unique=True, postgresql_where=text(IS_ACTIVE)),
    Index("ix_runs_due", "not_before", postgresql_where=text(IS_ACTIVE)),
    Index("ix_runs_recent", "connection_id", text("id DESC")),
    Index("ix_runs_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
)

run_streams = Table(
    "run_streams",
    metadata,
    Column("run_id", BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="walking"),
    *_counts(),
    Column("considered", BigInteger),
    Column("records_missing_estimate", BigInteger),
    Column("skipped_by_reason", JSONB, nullable=False, server_default="{}"),
    Column("progress_count", BigInteger),
    Column("progress_total", BigInteger),
    Column("error", Text),
    one_of("state", ("walking", "finished", "unfinished")),
    CheckConstraint(f"considered IS NULL OR considered = {_BALANCE}", name="books_balance"),
    CheckConstraint("checkpoints_committed <= checkpoints_staged", name="checkpoints"),
)
