"""The history of a connection's rate: at the end of each slice, and at each refusal

Old code still runs while this is applied: what it writes stays valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("interval_ms", sa.Double(), nullable=False),
        sa.Column("ceiling_ms", sa.Double()),
        sa.Column("quota_per_minute", sa.Double()),
        sa.Column("refused_at", sa.DateTime(timezone=True)),
        sa.Column("retry_after_s", sa.Double()),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_rate_history_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_history")),
    )
    op.create_index("ix_rate_history_connection", "rate_history", ["connection_id", "at"])


def downgrade() -> None:
    op.drop_table("rate_history")
