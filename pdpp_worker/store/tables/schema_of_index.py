"""Tables of the index of records: each record's time, its thread and its words, and what is still to be indexed.

They are filled after the records, so that collecting waits for none of it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR

from pdpp_worker.store.tables.columns import connection, metadata, moment

# No foreign keys: see `records`.
record_index = Table(
    "record_index",
    metadata,
    Column("connection_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    # The record's own time, else the one at which it was sent.
    moment("at", nullable=False),
    # Records of a stream that have the same one are read together.
    Column("thread", Text),
    Column("words", TSVECTOR, nullable=False),
    Index("ix_record_index_words", "words", postgresql_using="gin"),
    Index("ix_record_index_latest", text("at DESC")),
    Index("ix_record_index_of_stream", "connection_id", "stream", text("at DESC"), "key"),
    Index(
        "ix_record_index_thread",
        "connection_id",
        "stream",
        text("md5(thread)"),
        "at",
        "key",
        postgresql_where=text("thread IS NOT NULL"),
    ),
)

# How many of them there are in each month. Triggers on `record_index` keep it.
month_counts = Table(
    "month_counts",
    metadata,
    connection(primary_key=True),
    Column("stream", Text, primary_key=True),
    # Its beginning, UTC.
    Column("month", DateTime(timezone=True), primary_key=True),
    Column("records", BigInteger, nullable=False),
)

# A row for each batch that wrote records of a stream.
index_queue = Table(
    "index_queue",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("connection_id", BigInteger, nullable=False),
    Column("stream", Text, nullable=False),
    # Not compressed: they are read once.
    Column("keys", ARRAY(Text), nullable=False),
    moment("queued_at", default=True),
    Index("ix_index_queue_connection", "connection_id"),
)
