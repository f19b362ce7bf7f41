"""Which version opened a gap and which one closed it; of which streams a cursor speaks

Old code still runs while this is applied: what it writes stays valid, and stays unknown in these columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gaps", sa.Column("opened_by_version", sa.Text()))
    op.add_column("gaps", sa.Column("closed_by_version", sa.Text()))
    op.add_column("checkpoints", sa.Column("covers", sa.ARRAY(sa.Text())))
    op.execute("""
        UPDATE gaps SET opened_by_version = first.connector_version,
            closed_by_version = CASE WHEN gaps.status IN ('recovered', 'absent_upstream') AND NOT structural
                THEN last.connector_version END
        FROM runs AS first, runs AS last
        WHERE first.id = gaps.first_run_id AND last.id = gaps.last_run_id
            AND recovery_kind = 'retry_on_connector_upgrade'
    """)
    # A stream that no walk has had in its scope is not spoken of.
    op.execute("""
        UPDATE checkpoints SET covers = ARRAY(
            SELECT DISTINCT run_streams.stream FROM run_streams JOIN runs ON runs.id = run_streams.run_id
            WHERE runs.connection_id = checkpoints.connection_id AND runs.kind = 'forward'
            UNION SELECT checkpoints.stream)
    """)


def downgrade() -> None:
    op.drop_column("checkpoints", "covers")
    op.drop_column("gaps", "closed_by_version")
    op.drop_column("gaps", "opened_by_version")
