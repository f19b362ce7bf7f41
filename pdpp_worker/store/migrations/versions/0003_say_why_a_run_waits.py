"""Say why a run waits, when it last got anywhere, and which connection stands still

Old code still runs while this is applied: what it writes stays valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("wait_reason", sa.Text()))
    op.add_column("runs", sa.Column("still_slices", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("touched_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE runs SET touched_at = coalesce(ended_at, clock_timestamp()) WHERE started_at IS NOT NULL")
    op.add_column("connections", sa.Column("still_cause", sa.Text()))


def downgrade() -> None:
    op.drop_column("connections", "still_cause")
    op.drop_column("runs", "touched_at")
    op.drop_column("runs", "still_slices")
    op.drop_column("runs", "wait_reason")
