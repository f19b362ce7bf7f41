"""Count the records of each stream as they are written, and let gaps that are alike be counted in an index

Writers wait while this counts what is there and gives each gap its new column, which old code never names. The triggers
count the records of old code as well.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_COUNTS = """
    connection_id, stream, {sign} count(*) AS records, {sign} count(deleted_at) AS deleted,
    {sign} count(*) FILTER (WHERE partial AND deleted_at IS NULL) AS in_part
"""
_IN_RECORDS, _IN_NEW, _IN_OLD = (
    f"SELECT {_COUNTS.format(sign=sign)} FROM {table} GROUP BY connection_id, stream"
    for table, sign in (("records", "+"), ("new_rows", "+"), ("old_rows", "-"))
)
# A function outlives its table where a backup of an earlier version is restored. Whatever schema a session works in, the
# tables are those of this one. The lease of the connection is locked, so no other writer waits for these rows.
_FUNCTION = f"""
    CREATE OR REPLACE FUNCTION count_held() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO held_counts AS held (connection_id, stream, records, deleted, in_part) {_IN_NEW}
            ON CONFLICT (connection_id, stream) DO UPDATE SET records = held.records + excluded.records,
                deleted = held.deleted + excluded.deleted, in_part = held.in_part + excluded.in_part;
        ELSE
            UPDATE held_counts AS held SET deleted = held.deleted + change.deleted, in_part = held.in_part + change.in_part
            FROM (
                SELECT connection_id, stream, sum(deleted)::bigint AS deleted, sum(in_part)::bigint AS in_part
                FROM ({_IN_NEW} UNION ALL {_IN_OLD}) AS parts GROUP BY connection_id, stream
            ) AS change
            WHERE held.connection_id = change.connection_id AND held.stream = change.stream
                AND (change.deleted <> 0 OR change.in_part <> 0);
        END IF;
        RETURN NULL;
    END $$
"""
_TRIGGERS = """
    CREATE TRIGGER count_inserted AFTER INSERT ON records REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION count_held();
    CREATE TRIGGER count_updated AFTER UPDATE ON records REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION count_held()
"""
_FILL = f"""
    INSERT INTO held_counts (connection_id, stream, records, deleted, in_part)
    SELECT counted.* FROM ({_IN_RECORDS}) AS counted JOIN connections ON connections.id = connection_id
"""
_LIKENESS = """
    hashtextextended(
        stream || ' '::text || COALESCE(parent_stream, ''::text) || ' '::text || reason || ' '::text || recovery_kind
        || ' '::text || status
        || CASE WHEN next_attempt_at IS NULL THEN ''::text ELSE ' timed'::text END
        || CASE WHEN scope ? 'resource_id'::text THEN ' resource'::text
            WHEN scope = '{"partition": {}}'::jsonb THEN ' stream'::text ELSE ''::text END
        || CASE WHEN status = 'open'::text AND recovery_kind = 'retry_on_connector_upgrade'::text
            THEN ' '::text || connector_version_seen || ' '::text || COALESCE(connector_version_required, ''::text)
            ELSE ''::text END,
        0::bigint)
"""


def upgrade() -> None:
    op.create_table(
        "held_counts",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.Column("in_part", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_held_counts_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "stream", name=op.f("pk_held_counts")),
    )
    op.execute(_FUNCTION)
    for trigger in _TRIGGERS.split(";"):
        op.execute(trigger)
    op.execute(_FILL)
    op.execute(f"ALTER TABLE gaps ADD COLUMN likeness bigint GENERATED ALWAYS AS ({_LIKENESS}) STORED")
    op.create_index(
        "ix_gaps_alike",
        "gaps",
        ["connection_id", "likeness"],
        postgresql_include=["next_attempt_at", "id", "leased_by_run_id"],
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_gaps_alike", "gaps")
    op.drop_column("gaps", "likeness")
    op.execute("DROP TRIGGER count_inserted ON records")
    op.execute("DROP TRIGGER count_updated ON records")
    op.execute("DROP FUNCTION count_held()")
    op.drop_table("held_counts")
