"""Tables about connections: schedules, leases, learned rates and events."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Double, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from pdpp_worker.store.tables.columns import connection, metadata, moment, one_of

connections = Table(
    "connections",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("connector", Text, nullable=False),
    Column("settings", JSONB, nullable=False, server_default="{}"),
    Column("credentials", JSONB, nullable=False, server_default="{}"),
    Column("min_interval_ms", Double),
    moment("cooldown_until"),
    Column("still_cause", Text),
    Column("credentials_version", BigInteger, nullable=False, server_default="0"),
    Column("as_fleet_user", Boolean, nullable=False, server_default="false"),
    # The account at the source that it has read, and another one that was met since.
    Column("account_identity", Text),
    Column("account_label", Text),
    Column("other_identity", Text),
    Column("other_label", Text),
    moment("created_at", default=True),
    CheckConstraint("min_interval_ms > 0", name="min_interval_ms"),
)

schedules = Table(
    "schedules",
    metadata,
    connection(primary_key=True),
    Column("every_s", Double),
    Column("cron", Text),
    Column("jitter_s", Double, nullable=False, server_default="0"),
    Column("paused", Boolean, nullable=False, server_default="false"),
    moment("next_run_at", nullable=False),
    Column("error", Text),
    CheckConstraint("(every_s IS NULL) <> (cron IS NULL)", name="one_form"),
    CheckConstraint("every_s > 0", name="every_s"),
    Index("ix_schedules_due", "next_run_at", postgresql_where=text("NOT paused")),
)

leases = Table(
    "leases",
    metadata,
    connection(primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    moment("expires_at", nullable=False),
)

DISPOSITIONS = ("collected", "declared", "unknown")
# The lists, files, mailboxes, tables of a source, as the connector named them last.
source_members = Table(
    "source_members",
    metadata,
    connection(primary_key=True),
    Column("part", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("disposition", Text, nullable=False),
    Column("streams", ARRAY(Text), nullable=False),
    Column("count", BigInteger),
    Column("bytes", BigInteger),
    Column("reason", Text),
    Column("run_id", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
    moment("seen_at", default=True),
    one_of("disposition", DISPOSITIONS),
)

# Connections that are gone: every host drops what it keeps of one. Ids are never given twice.
removals = Table(
    "removals",
    metadata,
    Column("connection_id", BigInteger, primary_key=True, autoincrement=False),
    moment("removed_at", default=True),
)

rate_states = Table(
    "rate_states",
    metadata,
    connection(primary_key=True),
    Column("state", JSONB, nullable=False),
    moment("updated_at", default=True),
)

# What the rate was at the end of each slice, and at each refusal. Old rows are dropped.
# What waits for the owner: told outside the fleet once, and once more when it is over.
notices = Table(
    "notices",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    connection(),
    Column("cause", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    moment("seen_at", default=True),
    moment("tried_at"),
    moment("told_at"),
    moment("gone_at"),
    Index("ix_notices_connection", "connection_id", "cause", unique=True),
)

rate_history = Table(
    "rate_history",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    connection(),
    moment("at", default=True),
    Column("interval_ms", Double, nullable=False),
    Column("ceiling_ms", Double),
    Column("quota_per_minute", Double),
    # The last refusal: several rows may speak of one.
    moment("refused_at"),
    Column("retry_after_s", Double),
    Index("ix_rate_history_connection", "connection_id", "at"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    moment("at", default=True),
    connection(),
    Column("run_id", BigInteger),
    Column("stream", Text),
    Column("type", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default="{}"),
    Index("ix_events_connection", "connection_id", "id"),
    Index("ix_events_run", "run_id", "id"),
    Index("ix_events_stuck", "at", postgresql_where=text("type = 'thread_stuck'")),
)

# The connectors that the dispatcher knows, for the views `fleet_…`.
connector_queues = Table(
    "connector_queues",
    metadata,
    Column("connector", Text, primary_key=True),
    Column("queue", Text, nullable=False),
)

# The processes of the fleet, which say every few seconds that they are at work.
fleet_processes = Table(
    "fleet_processes",
    metadata,
    Column("name", Text, primary_key=True),
    moment("seen_at", default=True),
    Column("stuck", Integer, nullable=False),
)

# Who changed what. A trigger refuses every change of a row, and the removal of any; so no row hangs on a connection.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    moment("at", default=True),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("connection_id", BigInteger),
    Column("connection", Text),
    Column("data", JSONB, nullable=False, server_default="{}"),
)
