"""Recover within budgets, in phases, by selection; look up what is due, waiting and let go

Old code still runs while this is applied: what it writes stays valid, but for a gap that it would lease.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GAP_CHECKS = {
    "closed": (
        "(closed_at IS NULL) = (status IN ('open', 'leased', 'exhausted'))",
        "(closed_at IS NULL) = (status IN ('open', 'exhausted'))",
    ),
    "status": (
        "status IN ('open', 'leased', 'recovered', 'absent_upstream', 'exhausted', 'waived')",
        "status IN ('open', 'recovered', 'absent_upstream', 'exhausted', 'waived')",
    ),
}
FAILED_HOLDS_NOTHING = (
    "status <> 'failed' OR (records_durable = 0 AND checkpoints_committed = 0)",
    "status <> 'failed' OR (records_durable = 0 AND checkpoints_committed = 0 AND gaps_closed = 0)",
)
GAP_INDEXES = {
    "due": (["next_attempt_at"], ["connection_id", "next_attempt_at", "id"], "status = 'open'"),
    "waiting": (
        ["connection_id"],
        ["connection_id", "connector_version_seen", "connector_version_required"],
        "status = 'open' AND recovery_kind = 'retry_on_connector_upgrade'",
    ),
    "unclosed": (["connection_id", "stream"], ["connection_id", "stream", "id"], "closed_at IS NULL"),
}
RUN_COLUMNS: tuple[tuple[str, TypeEngine[Any], str], ...] = (
    ("phase", sa.Text(), "recover"),
    ("selection", postgresql.JSONB(astext_type=sa.Text()), "{}"),
    ("carried", postgresql.JSONB(astext_type=sa.Text()), "{}"),
    ("spent_s", sa.Double(), "0"),
    ("spent_requests", sa.BigInteger(), "0"),
    ("spent_items", sa.BigInteger(), "0"),
    ("gaps_closed", sa.BigInteger(), "0"),
)


def upgrade() -> None:
    op.add_column("connections", sa.Column("cooldown_until", sa.DateTime(timezone=True)))
    op.add_column("coverage", sa.Column("absent_reason", sa.Text()))
    # It was a text that nothing compared; the next record or walk brings the time.
    op.drop_column("coverage", "max_seen")
    op.add_column("coverage", sa.Column("max_seen", sa.DateTime(timezone=True)))
    for name, kind, default in RUN_COLUMNS:
        op.add_column("runs", sa.Column(name, kind, server_default=default, nullable=False))
    op.create_check_constraint(op.f("ck_runs_phase"), "runs", "phase IN ('recover', 'walk', 'drain')")
    op.execute("UPDATE gaps SET status = 'open' WHERE status = 'leased'")
    _replace(1)
    op.create_index(
        "ix_records_deleted",
        "records",
        ["connection_id", "stream"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_gaps_let_go",
        "gaps",
        ["connection_id", "stream"],
        postgresql_where=sa.text("status IN ('waived', 'absent_upstream')"),
    )


def downgrade() -> None:
    op.drop_index("ix_gaps_let_go", table_name="gaps")
    op.drop_index("ix_records_deleted", table_name="records")
    _replace(0)
    op.drop_constraint(op.f("ck_runs_phase"), "runs", type_="check")
    for name, _, _ in RUN_COLUMNS:
        op.drop_column("runs", name)
    op.drop_column("coverage", "max_seen")
    op.add_column("coverage", sa.Column("max_seen", sa.Text()))
    op.drop_column("coverage", "absent_reason")
    op.drop_column("connections", "cooldown_until")


def _replace(side: int) -> None:
    """Put the checks and indexes before (0) or after (1) this revision in the place of the others."""
    for name, checks in GAP_CHECKS.items():
        op.drop_constraint(op.f(f"ck_gaps_{name}"), "gaps", type_="check")
        op.create_check_constraint(op.f(f"ck_gaps_{name}"), "gaps", checks[side])
    op.drop_constraint(op.f("ck_runs_failed_holds_nothing"), "runs", type_="check")
    op.create_check_constraint(op.f("ck_runs_failed_holds_nothing"), "runs", FAILED_HOLDS_NOTHING[side])
    for name, (before, after, where) in GAP_INDEXES.items():
        op.drop_index(f"ix_gaps_{name}", table_name="gaps")
        op.create_index(f"ix_gaps_{name}", "gaps", (before, after)[side], postgresql_where=sa.text(where))
