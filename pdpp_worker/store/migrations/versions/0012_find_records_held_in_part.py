"""An index of the records that are held in part only

Old code still runs while this is applied; no row can be written to the records until the index is made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_records_partial",
        "records",
        ["connection_id", "stream"],
        postgresql_where=sa.text("partial AND deleted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_records_partial", table_name="records")
