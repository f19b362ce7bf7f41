"""An index of records: their time, their thread and their words, filled after them

Old code still runs while this is applied: what it writes meanwhile is indexed with the next version of the record.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0012"
branch_labels = None
depends_on = None

# What is held already is put into the queue, a thousand records a row.
_QUEUE = """
    INSERT INTO index_queue (connection_id, stream, keys)
    SELECT connection_id, stream, array_agg(key) FROM (
        SELECT connection_id, stream, key,
            (row_number() OVER (PARTITION BY connection_id, stream ORDER BY key) - 1) / 1000 AS part
        FROM records
    ) AS numbered GROUP BY connection_id, stream, part
"""


def upgrade() -> None:
    op.create_table(
        "record_index",
        sa.Column("connection_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("thread", sa.Text()),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "stream", "key", name=op.f("pk_record_index")),
    )
    op.create_index("ix_record_index_words", "record_index", ["words"], postgresql_using="gin")
    op.create_index("ix_record_index_latest", "record_index", [sa.text("at DESC")])
    op.create_index("ix_record_index_of_stream", "record_index", ["connection_id", "stream", sa.text("at DESC"), "key"])
    op.create_index(
        "ix_record_index_thread",
        "record_index",
        ["connection_id", "stream", sa.text("md5(thread)"), "at", "key"],
        postgresql_where=sa.text("thread IS NOT NULL"),
    )
    op.create_table(
        "index_queue",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("keys", sa.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_queue")),
    )
    op.create_index("ix_index_queue_connection", "index_queue", ["connection_id"])
    op.execute(_QUEUE)


def downgrade() -> None:
    op.drop_table("index_queue")
    op.drop_table("record_index")
