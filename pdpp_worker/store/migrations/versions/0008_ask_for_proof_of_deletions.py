"""Records that a listing did not hold, parents with which records went, and the account that a connection reads

Old code still runs while this is applied: what it writes stays valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("records", sa.Column("deleted_with", sa.Text()))
    op.create_index(
        "ix_records_deleted_with",
        "records",
        ["connection_id", "deleted_with"],
        postgresql_where=sa.text("deleted_with IS NOT NULL"),
    )
    for name in ("account_identity", "account_label", "other_identity", "other_label"):
        op.add_column("connections", sa.Column(name, sa.Text()))
    op.create_table(
        "deletion_doubts",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("first_run_id", sa.BigInteger(), nullable=False),
        sa.Column("last_run_id", sa.BigInteger(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="doubted", nullable=False),
        sa.CheckConstraint("state IN ('doubted', 'waiting', 'kept')", name=op.f("ck_deletion_doubts_state")),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_deletion_doubts_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "stream", "key", name=op.f("pk_deletion_doubts")),
    )


def downgrade() -> None:
    op.drop_table("deletion_doubts")
    for name in ("other_label", "other_identity", "account_label", "account_identity"):
        op.drop_column("connections", name)
    op.drop_index("ix_records_deleted_with", "records")
    op.drop_column("records", "deleted_with")
