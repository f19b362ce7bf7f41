"""Tables of collected records, and of how far each stream was read."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZMULTIRANGE

from pdpp_worker.store.tables.columns import connection, metadata, moment, one_of

# No foreign key: it would fire a trigger for every row that is copied in. The lease fences writers, and removing a
# connection removes its records in the same transaction. Rows of up to 4 kB are whole and not compressed.
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
    Index("ix_records_partial", "connection_id", "stream", postgresql_where=text("partial AND deleted_at IS NULL")),
    Index(
        "ix_records_deleted_with", "connection_id", "deleted_with", postgresql_where=text("deleted_with IS NOT NULL")
    ),
)

# The content that another one took the place of. No foreign key, for the same reason.
record_versions = Table(
    "record_versions",
    metadata,
    Column("connection_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    # NULL: it was too large to keep.
    Column("data", JSONB),
    Column("raw", LargeBinary),
    Column("bytes", BigInteger, nullable=False),
    Column("partial", Boolean, nullable=False),
    Column("emitted_at", DateTime(timezone=True), nullable=False),
    moment("deleted_at"),
    Column("run_id", BigInteger, nullable=False),
    Column("connector_version", Text),
    Column("replaced_by_run_id", BigInteger, nullable=False),
    Column("replaced_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Index("ix_record_versions_replaced", "replaced_at"),
)

# How many of them there are. Triggers on `records` keep it; a connection's rows go with the connection.
held_counts = Table(
    "held_counts",
    metadata,
    connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("records", BigInteger, nullable=False),
    # Of these, those that the source deleted, and those held in part that it did not.
    Column("deleted", BigInteger, nullable=False),
    Column("in_part", BigInteger, nullable=False),
)

DOUBT_STATES = ("doubted", "waiting", "kept")
# Held records that a listing did not hold: in doubt, waiting for the owner's word, or kept by it.
deletion_doubts = Table(
    "deletion_doubts",
    metadata,
    connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("first_run_id", BigInteger, nullable=False),
    Column("last_run_id", BigInteger, nullable=False),
    Column("said_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False, server_default="doubted"),
    one_of("state", DOUBT_STATES),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    connection(),
    Column("run_id", BigInteger, nullable=False),
    Column("stream", Text, nullable=False),
    Column("key", Text),
    Column("error", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    moment("created_at", default=True),
    Index("ix_rejections_run", "run_id"),
    Index("ix_rejections_content", "connection_id", "stream", text("sha256(raw)")),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    # Text, not jsonb: a cursor is opaque and comes back exactly as it was sent, NUL and lone surrogates included.
    Column("cursor", Text, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    # The streams of which everything up to the cursor was walked. NULL: an older version wrote it.
    Column("covers", ARRAY(Text)),
    moment("updated_at", default=True),
)

coverage = Table(
    "coverage",
    metadata,
    connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    moment("max_seen"),
    Column("intervals", TSTZMULTIRANGE, nullable=False, server_default="{}"),
    Column("absent_reason", Text),
    Column("last_walk_run_id", BigInteger),
    moment("last_walk_at"),
    Column("last_walk_considered", BigInteger),
)
