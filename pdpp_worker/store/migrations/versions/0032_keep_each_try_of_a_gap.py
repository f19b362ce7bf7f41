"""Keep each try of a gap

Old code still runs while this is applied: it does not know the table. Its counts are told as a number.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gap_attempts",
        sa.Column("gap_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("asked_by", sa.Text()),
        sa.Column("connector_version", sa.Text()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("retry_after", sa.DateTime(timezone=True)),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["gap_id"], ["gaps.id"], name=op.f("fk_gap_attempts_gap_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("gap_id", "place", name=op.f("pk_gap_attempts")),
    )
    op.create_index("ix_gap_attempts_at", "gap_attempts", ["at"])


def downgrade() -> None:
    op.drop_table("gap_attempts")
