"""The lists, files, mailboxes and tables of a source: collected, declared as left out, or unknown

Old code still runs while this is applied: it writes nothing here, and what is here stays.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_members",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("streams", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("count", sa.BigInteger()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("reason", sa.Text()),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "disposition IN ('collected', 'declared', 'unknown')", name=op.f("ck_source_members_disposition")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_source_members_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "part", "position", name=op.f("pk_source_members")),
    )


def downgrade() -> None:
    op.drop_table("source_members")
