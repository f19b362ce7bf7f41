"""Keep the versions of records that others took the place of, and count what is indexed by the months of its times

The indexer waits while this counts what is there. Old code keeps no versions; the triggers count what it indexes.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_MONTHS = """
    SELECT connection_id, stream, date_trunc('month', at, 'UTC') AS month, {sign}count(*) AS records
    FROM {table} GROUP BY 1, 2, 3
"""
_IN_INDEX, _IN_NEW, _IN_OLD = (
    _MONTHS.format(table=table, sign=sign)
    for table, sign in (("record_index", ""), ("new_rows", ""), ("old_rows", "-"))
)
_ADD = """
    INSERT INTO month_counts AS held (connection_id, stream, month, records) {counted}
    ON CONFLICT (connection_id, stream, month) DO UPDATE SET records = held.records + excluded.records;
"""
_CHANGES = f"""
    SELECT connection_id, stream, month, sum(records)::bigint FROM ({_IN_NEW} UNION ALL {_IN_OLD}) AS parts
    GROUP BY 1, 2, 3 HAVING sum(records) <> 0
"""
# One indexer works at a time, so nobody else waits for these rows.
_FUNCTION = f"""
    CREATE OR REPLACE FUNCTION count_months() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            {_ADD.format(counted=_IN_NEW)}
        ELSE
            {_ADD.format(counted=_CHANGES)}
        END IF;
        RETURN NULL;
    END $$
"""
_TRIGGERS = """
    CREATE TRIGGER count_indexed AFTER INSERT ON record_index REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION count_months();
    CREATE TRIGGER count_indexed_anew AFTER UPDATE ON record_index
        REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_months()
"""
_FILL = f"""
    INSERT INTO month_counts (connection_id, stream, month, records)
    SELECT counted.* FROM ({_IN_INDEX}) AS counted JOIN connections ON connections.id = connection_id
"""


def upgrade() -> None:
    op.create_table(
        "month_counts",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("month", sa.DateTime(timezone=True), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_month_counts_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "stream", "month", name=op.f("pk_month_counts")),
    )
    op.execute(_FUNCTION)
    for trigger in _TRIGGERS.split(";"):
        op.execute(trigger)
    op.execute(_FILL)
    op.create_table(
        "record_versions",
        sa.Column("connection_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", postgresql.JSONB()),
        sa.Column("raw", sa.LargeBinary()),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.Column("emitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("connector_version", sa.Text()),
        sa.Column("replaced_by_run_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "replaced_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("connection_id", "stream", "key", "place", name=op.f("pk_record_versions")),
    )
    op.create_index("ix_record_versions_replaced", "record_versions", ["replaced_at"])


def downgrade() -> None:
    op.drop_table("record_versions")
    op.execute("DROP TRIGGER count_indexed ON record_index")
    op.execute("DROP TRIGGER count_indexed_anew ON record_index")
    op.execute("DROP FUNCTION count_months()")
    op.drop_table("month_counts")
