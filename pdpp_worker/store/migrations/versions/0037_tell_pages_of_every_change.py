"""Tell pages of every change of what they show

Old code still runs while this is applied: it tells by itself of some changes, which are then told once.
"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

# A statement that met no row has told nothing: its transaction has written nothing. A transaction is told once.
# A function outlives its tables where a backup of an earlier version is restored.
_TELL = """
    CREATE OR REPLACE FUNCTION tell_pages() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF txid_current_if_assigned() IS NOT NULL THEN
            PERFORM pg_notify('pdpp_changed', '');
        END IF;
        RETURN NULL;
    END $$
"""
_SHOWN = (
    "audit",
    "connections",
    "coverage",
    "deletion_doubts",
    "events",
    "gaps",
    "rate_states",
    "record_index",
    "records",
    "run_streams",
    "runs",
    "schedules",
    "source_members",
)


def upgrade() -> None:
    op.execute(_TELL)
    for table in _SHOWN:
        op.execute(
            f"CREATE TRIGGER tell_pages AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION tell_pages()"
        )


def downgrade() -> None:
    for table in _SHOWN:
        op.execute(f"DROP TRIGGER tell_pages ON {table}")
    op.execute("DROP FUNCTION tell_pages()")
