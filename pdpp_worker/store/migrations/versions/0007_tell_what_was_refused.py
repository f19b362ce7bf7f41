"""Which messages of a run were refused, and the keys of details in their own JSON type

Old code still runs while this is applied: what it writes stays valid.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("messages_refused", JSONB(), server_default="{}", nullable=False))
    op.add_column("gaps", sa.Column("record_key", JSONB()))


def downgrade() -> None:
    op.drop_column("gaps", "record_key")
    op.drop_column("runs", "messages_refused")
