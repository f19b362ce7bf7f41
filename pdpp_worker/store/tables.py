"""The tables. Everything is keyed by the connection: one account of one owner at one platform."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZMULTIRANGE

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

RUN_STATUSES = ("queued", "running", "succeeded", "partially_completed", "failed", "cancelled")
IS_ACTIVE = "status IN ('queued', 'running')"
"""The SQL condition for a run that is not over; one of them exists for a connection."""
RUN_KINDS = ("forward", "recovery")
RUN_TRIGGERS = ("schedule", "sweep", "manual", "upgrade")
RUN_PHASES = ("recover", "walk", "drain")
# A gap that is open and `leased_by_run_id` the run that holds its connection's live lease is being fetched now: so a
# worker that dies leaves nothing behind that would have to be put right.
GAP_STATUSES = ("open", "recovered", "absent_upstream", "exhausted", "waived")

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


def _moment(name: str, *, default: bool = False, nullable: bool = True) -> Column[object]:
    return Column(
        name, DateTime(timezone=True), nullable=nullable and not default, server_default=func.now() if default else None
    )


def _connection(*, primary_key: bool = False) -> Column[int]:
    target = ForeignKey("connections.id", ondelete="CASCADE")
    return Column("connection_id", BigInteger, target, primary_key=primary_key, nullable=False)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


def _counts() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in _COUNTS]


_BALANCE = "records_flushed + records_unchanged + records_rejected + skipped + unreached"

connections = Table(
    "connections",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("connector", Text, nullable=False),
    Column("settings", JSONB, nullable=False, server_default="{}"),
    Column("credentials", JSONB, nullable=False, server_default="{}"),
    Column("min_interval_ms", Double),
    _moment("cooldown_until"),
    Column("still_cause", Text),
    Column("credentials_version", BigInteger, nullable=False, server_default="0"),
    # The account at the source that it has read, and another one that was met since.
    Column("account_identity", Text),
    Column("account_label", Text),
    Column("other_identity", Text),
    Column("other_label", Text),
    _moment("created_at", default=True),
    CheckConstraint("min_interval_ms > 0", name="min_interval_ms"),
)

schedules = Table(
    "schedules",
    metadata,
    _connection(primary_key=True),
    Column("every_s", Double),
    Column("cron", Text),
    Column("jitter_s", Double, nullable=False, server_default="0"),
    Column("paused", Boolean, nullable=False, server_default="false"),
    _moment("next_run_at", nullable=False),
    Column("error", Text),
    CheckConstraint("(every_s IS NULL) <> (cron IS NULL)", name="one_form"),
    CheckConstraint("every_s > 0", name="every_s"),
    Index("ix_schedules_due", "next_run_at", postgresql_where=text("NOT paused")),
)

runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _connection(),
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
    _moment("created_at", default=True),
    _moment("started_at"),
    _moment("ended_at"),
    _moment("not_before", default=True),
    Column("wait_reason", Text),
    _moment("touched_at"),
    _moment("rung_at"),
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
    _one_of("status", RUN_STATUSES),
    _one_of("kind", RUN_KINDS),
    _one_of("trigger", RUN_TRIGGERS),
    _one_of("phase", RUN_PHASES),
    _one_of("mode", ("full_refresh", "incremental")),
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
    _one_of("state", ("walking", "finished", "unfinished")),
    CheckConstraint(f"considered IS NULL OR considered = {_BALANCE}", name="books_balance"),
    CheckConstraint("checkpoints_committed <= checkpoints_staged", name="checkpoints"),
)

# No foreign key: it would fire a trigger for every row that is copied in. The lease fences writers, and removing a
# connection removes its records in the same transaction.
records = Table(
    "records",
    metadata,
    Column("connection_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("data", JSONB, nullable=False),
    Column("raw", LargeBinary),
    Column("content_hash", LargeBinary, nullable=False),
    # Orders the versions of a key: a time, Unix s, or the digits of a number, which a float may not hold.
    Column("version", Double),
    Column("version_digits", Text),
    Column("partial", Boolean, nullable=False),
    Column("emitted_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
    # The parent with which it went: its stream, a space, its key. It comes back with it.
    Column("deleted_with", Text),
    Column("first_run_id", BigInteger, nullable=False),
    Column("last_run_id", BigInteger, nullable=False),
    Index("ix_records_deleted", "connection_id", "stream", postgresql_where=text("deleted_at IS NOT NULL")),
    Index(
        "ix_records_deleted_with", "connection_id", "deleted_with", postgresql_where=text("deleted_with IS NOT NULL")
    ),
)

DOUBT_STATES = ("doubted", "waiting", "kept")
# Held records that a listing did not hold: in doubt, waiting for the owner's word, or kept by it.
deletion_doubts = Table(
    "deletion_doubts",
    metadata,
    _connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("first_run_id", BigInteger, nullable=False),
    Column("last_run_id", BigInteger, nullable=False),
    Column("said_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False, server_default="doubted"),
    _one_of("state", DOUBT_STATES),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _connection(),
    Column("run_id", BigInteger, nullable=False),
    Column("stream", Text, nullable=False),
    Column("key", Text),
    Column("error", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    _moment("created_at", default=True),
    Index("ix_rejections_run", "run_id"),
    Index("ix_rejections_content", "connection_id", "stream", text("sha256(raw)")),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    _connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    # Text, not jsonb: a cursor is opaque and comes back exactly as it was sent, NUL and lone surrogates included.
    Column("cursor", Text, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    _moment("updated_at", default=True),
)

coverage = Table(
    "coverage",
    metadata,
    _connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    _moment("max_seen"),
    Column("intervals", TSTZMULTIRANGE, nullable=False, server_default="{}"),
    Column("absent_reason", Text),
    Column("last_walk_run_id", BigInteger),
    _moment("last_walk_at"),
    Column("last_walk_considered", BigInteger),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _connection(),
    Column("stream", Text, nullable=False),
    Column("parent_stream", Text),
    Column("scope", JSONB, nullable=False),
    # The exact JSON of a scope that jsonb would give back in another form.
    Column("exact_scope", Text),
    Column("scope_hash", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recovery_kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="open"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("first_run_id", BigInteger, nullable=False),
    Column("last_run_id", BigInteger, nullable=False),
    # The run that counted the last attempt: each counts one, however often it says so.
    Column("tried_run_id", BigInteger),
    Column("leased_by_run_id", BigInteger),
    _moment("opened_at", default=True),
    _moment("closed_at"),
    _moment("next_attempt_at"),
    _moment("retry_after"),
    Column("connector_version_seen", Text, nullable=False),
    Column("connector_version_required", Text),
    # The version for which an upgrade sweep let it be tried. An older one leaves it alone.
    Column("opened_for_version", Text),
    Column("detail_locator", JSONB),
    # The exact JSON of a locator that jsonb would give back in another form.
    Column("exact_locator", Text),
    # A number that a detail was reported under; a key that is text is in the scope.
    Column("record_key", JSONB),
    Column("last_error", Text),
    # Closed since the manifest says that nobody can have it, and not by the provider's word.
    Column("structural", Boolean, nullable=False, server_default="false"),
    UniqueConstraint("connection_id", "stream", "scope_hash", name="uq_gaps_scope"),
    _one_of("status", GAP_STATUSES),
    _one_of("recovery_kind", ("retry_by_runtime", "retry_on_connector_upgrade")),
    CheckConstraint("(closed_at IS NULL) = (status IN ('open', 'exhausted'))", name="closed"),
    CheckConstraint("attempts >= 0", name="attempts"),
    Index("ix_gaps_due", "connection_id", "next_attempt_at", "id", postgresql_where=text("status = 'open'")),
    Index(
        "ix_gaps_waiting",
        "connection_id",
        "connector_version_seen",
        "connector_version_required",
        postgresql_where=text("status = 'open' AND recovery_kind = 'retry_on_connector_upgrade'"),
    ),
    Index(
        "ix_gaps_opened_for",
        "connection_id",
        "opened_for_version",
        postgresql_where=text(
            "status = 'open' AND next_attempt_at IS NOT NULL AND recovery_kind = 'retry_on_connector_upgrade'"
        ),
    ),
    Index("ix_gaps_unclosed", "connection_id", "stream", "id", postgresql_where=text("closed_at IS NULL")),
    Index(
        "ix_gaps_let_go", "connection_id", "stream", postgresql_where=text("status IN ('waived', 'absent_upstream')")
    ),
    Index("ix_gaps_last_run", "last_run_id"),
)

leases = Table(
    "leases",
    metadata,
    _connection(primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    _moment("expires_at", nullable=False),
)

# Connections that are gone: every host drops what it keeps of one. Ids are never given twice.
removals = Table(
    "removals",
    metadata,
    Column("connection_id", BigInteger, primary_key=True, autoincrement=False),
    _moment("removed_at", default=True),
)

rate_states = Table(
    "rate_states",
    metadata,
    _connection(primary_key=True),
    Column("state", JSONB, nullable=False),
    _moment("updated_at", default=True),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _moment("at", default=True),
    _connection(),
    Column("run_id", BigInteger),
    Column("stream", Text),
    Column("type", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default="{}"),
    Index("ix_events_connection", "connection_id", "id"),
    Index("ix_events_run", "run_id", "id"),
)
