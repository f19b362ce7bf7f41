"""A lease for each connection, credentials by version, why a schedule fails, deaths of slices, removals, rejections once

Old code still runs while this is applied: what it writes stays valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        INSERT INTO leases (connection_id, token, holder, run_id, expires_at)
        SELECT id, 0, '', 0, clock_timestamp() FROM connections ON CONFLICT (connection_id) DO NOTHING
    """)
    op.add_column("connections", sa.Column("credentials_version", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("died_slices", sa.Integer(), server_default="0", nullable=False))
    op.add_column("schedules", sa.Column("error", sa.Text()))
    op.create_table(
        "removals",
        sa.Column("connection_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_removals")),
    )
    op.drop_index("ix_rejections_connection_id", "rejections")
    op.create_index("ix_rejections_content", "rejections", ["connection_id", "stream", sa.text("sha256(raw)")])
    op.execute("""
        DELETE FROM rejections USING rejections AS later
        WHERE later.connection_id = rejections.connection_id AND later.stream = rejections.stream
            AND sha256(later.raw) = sha256(rejections.raw) AND later.key IS NOT DISTINCT FROM rejections.key
            AND later.id > rejections.id
    """)


def downgrade() -> None:
    op.drop_index("ix_rejections_content", "rejections")
    op.create_index("ix_rejections_connection_id", "rejections", ["connection_id"])
    op.drop_table("removals")
    op.drop_column("schedules", "error")
    op.drop_column("runs", "died_slices")
    op.drop_column("connections", "credentials_version")
