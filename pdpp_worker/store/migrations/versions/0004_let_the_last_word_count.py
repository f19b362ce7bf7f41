"""Let the last word count: which run counted a gap's last attempt

Old code still runs while this is applied: what it writes stays valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gaps", sa.Column("tried_run_id", sa.BigInteger()))
    op.execute("UPDATE gaps SET tried_run_id = last_run_id WHERE closed_at IS NULL")


def downgrade() -> None:
    op.drop_column("gaps", "tried_run_id")
