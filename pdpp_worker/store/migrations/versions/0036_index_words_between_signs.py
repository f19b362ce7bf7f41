"""Index every record anew, as words are parted by whatever is no letter and no digit

Old code goes on finding what it found: words that stand between spaces are the same.
"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

# A hundred records a row: their texts are held at once.
_QUEUE = """
    INSERT INTO index_queue (connection_id, stream, keys)
    SELECT connection_id, stream, array_agg(key) FROM (
        SELECT connection_id, stream, key,
            (row_number() OVER (PARTITION BY connection_id, stream ORDER BY key) - 1) / 100 AS part
        FROM records
    ) AS numbered GROUP BY connection_id, stream, part
"""


def upgrade() -> None:
    op.execute(_QUEUE)


def downgrade() -> None:
    """Leave the index as it is: what another version asks for is found in it."""
