"""Tell when records came to the queue of the index, so that a load under way is left alone

Old code queues them with the time of now, and takes them whenever they came.
"""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE index_queue ADD COLUMN queued_at timestamptz NOT NULL DEFAULT now()")


def downgrade() -> None:
    op.execute("ALTER TABLE index_queue DROP COLUMN queued_at")
