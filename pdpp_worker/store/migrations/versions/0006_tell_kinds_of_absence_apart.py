"""Which gaps closed by the manifest's word alone, for which version a gap is tried, locators as they were sent

Old code still runs while this is applied: what it writes stays valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gaps", sa.Column("structural", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("gaps", sa.Column("opened_for_version", sa.Text()))
    op.add_column("gaps", sa.Column("exact_locator", sa.Text()))
    # The provider's word closes a gap while a run is at work, the manifest's does not.
    op.execute("""
        UPDATE gaps SET structural = true FROM coverage
        WHERE coverage.connection_id = gaps.connection_id AND coverage.stream = gaps.stream
            AND absent_reason IS NOT NULL AND gaps.status = 'absent_upstream' AND NOT EXISTS (
                SELECT 1 FROM runs WHERE runs.id = gaps.last_run_id
                    AND gaps.closed_at BETWEEN runs.started_at AND coalesce(runs.ended_at, 'infinity'))
    """)
    op.create_index(
        "ix_gaps_opened_for",
        "gaps",
        ["connection_id", "opened_for_version"],
        postgresql_where=sa.text(
            "status = 'open' AND next_attempt_at IS NOT NULL AND recovery_kind = 'retry_on_connector_upgrade'"
        ),
    )


def downgrade() -> None:
    op.drop_index("ix_gaps_opened_for", "gaps")
    op.drop_column("gaps", "exact_locator")
    op.drop_column("gaps", "opened_for_version")
    op.drop_column("gaps", "structural")
