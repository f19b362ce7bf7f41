"""Keep for each connection whether its program may run as the fleet's user; those that are here may, as before

Old code runs any program so that needs it, and never names the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("as_fleet_user", sa.Boolean, nullable=False, server_default="true"))
    op.alter_column("connections", "as_fleet_user", server_default="false")


def downgrade() -> None:
    op.drop_column("connections", "as_fleet_user")
