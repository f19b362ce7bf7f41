"""The tables of gaps, and of their tries."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store.tables.columns import connection, metadata, moment, one_of

# A gap that is open and `leased_by_run_id` the run that holds its connection's live lease is being fetched now: so a
# worker that dies leaves nothing behind that would have to be put right.
# As the server writes it back, so that the two can be compared.
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
GAP_STATUSES = ("open", "recovered", "absent_upstream", "exhausted", "waived")


gaps = Table(
    "gaps",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    connection(),
    Column("stream", Text, nullable=False),
    Column("parent_stream", Text),
    Column("scope", JSONB, nullable=False),
    # The exact JSON of a scope that jsonb would give back in another form.
    Column("exact_scope", Text),
    Column("scope_hash", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recovery_kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="open"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("first_run_id", BigInteger, nullable=False),
    Column("last_run_id", BigInteger, nullable=False),
    # The run that counted the last attempt: each counts one, however often it says so.
    Column("tried_run_id", BigInteger),
    Column("leased_by_run_id", BigInteger),
    moment("opened_at", default=True),
    moment("closed_at"),
    moment("next_attempt_at"),
    moment("retry_after"),
    Column("connector_version_seen", Text, nullable=False),
    Column("connector_version_required", Text),
    # A run may be worked by several versions, so these are not those of its runs.
    Column("opened_by_version", Text),
    # Only where a run closed it by proof.
    Column("closed_by_version", Text),
    # The version for which an upgrade sweep let it be tried. An older one leaves it alone.
    Column("opened_for_version", Text),
    Column("detail_locator", JSONB),
    # The exact JSON of a locator that jsonb would give back in another form.
    Column("exact_locator", Text),
    # A number that a detail was reported under; a key that is text is in the scope.
    Column("record_key", JSONB),
    Column("last_error", Text),
    # Closed since the manifest says that nobody can have it, and not by the provider's word.
    Column("structural", Boolean, nullable=False, server_default="false"),
    # The same for gaps that are counted together.
    Column("likeness", BigInteger, Computed(_LIKENESS, persisted=True)),
    UniqueConstraint("connection_id", "stream", "scope_hash", name="uq_gaps_scope"),
    one_of("status", GAP_STATUSES),
    one_of("recovery_kind", ("retry_by_runtime", "retry_on_connector_upgrade")),
    CheckConstraint("(closed_at IS NULL) = (status IN ('open', 'exhausted'))", name="closed"),
    CheckConstraint("attempts >= 0", name="attempts"),
    Index("ix_gaps_due", "connection_id", "next_attempt_at", "id", postgresql_where=text("status = 'open'")),
    Index(
        "ix_gaps_waiting",
        "connection_id",
        "connector_version_seen",
        "connector_version_required",
        postgresql_where=text("status = 'open' AND recovery_kind = 'retry_on_connector_upgrade'"),
    ),
    Index(
        "ix_gaps_opened_for",
        "connection_id",
        "opened_for_version",
        postgresql_where=text(
            "status = 'open' AND next_attempt_at IS NOT NULL AND recovery_kind = 'retry_on_connector_upgrade'"
        ),
    ),
    Index(
        "ix_gaps_alike",
        "connection_id",
        "likeness",
        postgresql_include=["next_attempt_at", "id", "leased_by_run_id"],
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index("ix_gaps_unclosed", "connection_id", "stream", "id", postgresql_where=text("closed_at IS NULL")),
    Index(
        "ix_gaps_let_go", "connection_id", "stream", postgresql_where=text("status IN ('waived', 'absent_upstream')")
    ),
    Index("ix_gaps_last_run", "last_run_id"),
)

# Added to and never changed. `place` counts the rows of a gap, `number` its tries since it was opened last.
gap_attempts = Table(
    "gap_attempts",
    metadata,
    Column("gap_id", BigInteger, ForeignKey("gaps.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("asked_by", Text),
    Column("connector_version", Text),
    # The gap's status after it.
    Column("outcome", Text, nullable=False),
    # NULL: the run ended without a word of the gap, or closed it.
    Column("reason", Text),
    Column("error", Text),
    moment("retry_after"),
    moment("next_attempt_at"),
    Index("ix_gap_attempts_at", "at"),
)
