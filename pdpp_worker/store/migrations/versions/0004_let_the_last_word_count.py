"""Let the last word count: which run counted a gap's last attempt, scopes that read back exactly, numbers as versions

Old code still runs while this is applied: what it writes stays valid.
"""

import json
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gaps", sa.Column("tried_run_id", sa.BigInteger()))
    op.execute("UPDATE gaps SET tried_run_id = last_run_id WHERE closed_at IS NULL")
    op.add_column("gaps", sa.Column("exact_scope", sa.Text()))
    _rewrite_scopes(op.get_bind())
    op.add_column("records", sa.Column("version_digits", sa.Text()))
    # A number that is no time; one that a float may not hold orders nothing.
    op.execute("""
        UPDATE records SET version = NULL,
            version_digits = CASE WHEN version <= 9007199254740992 THEN CAST(CAST(version AS numeric) AS text) END
        WHERE version >= 253402300800
    """)
    # Nothing is walked that is still to come.
    op.execute("""
        UPDATE coverage SET intervals = intervals * tstzmultirange(tstzrange(NULL, clock_timestamp()))
        WHERE upper_inf(intervals)
    """)


# Scopes that may have another canonical form now, or that the database gave back in another form than they came in.
_SUSPECTS = sa.text("""
    SELECT id, connection_id, stream, scope, scope_hash, closed_at FROM gaps
    WHERE NOT scope ? 'resource_id' OR scope ->> 'resource_id' ~ '^[["]|\ufffd' ORDER BY id
""")
_TWIN = sa.text("""
    SELECT id, closed_at FROM gaps WHERE connection_id = :connection_id AND stream = :stream AND scope_hash = :hash
""")
_DROP = sa.text("DELETE FROM gaps WHERE id = :id")
_REWRITE = sa.text("UPDATE gaps SET scope = :scope, scope_hash = :hash WHERE id = :id").bindparams(
    sa.bindparam("scope", type_=sa.dialects.postgresql.JSONB)
)


def _rewrite_scopes(connection: sa.Connection) -> None:
    """Give each scope its canonical form. A miss that had two rows keeps one, the open one if there is one."""
    for row in connection.execute(_SUSPECTS).all():
        scope = _canonical(row.scope)
        key = json.dumps(scope, sort_keys=True, separators=(",", ":"))
        hashed = blake2b(key.encode(), digest_size=16).digest()
        if hashed == bytes(row.scope_hash):
            continue
        place = {"connection_id": row.connection_id, "stream": row.stream, "hash": hashed}
        twin = connection.execute(_TWIN, place).one_or_none()
        if twin is not None and (twin.closed_at is None or row.closed_at is not None):
            connection.execute(_DROP, {"id": row.id})
            continue
        if twin is not None:
            connection.execute(_DROP, {"id": twin.id})
        connection.execute(_REWRITE, {"id": row.id, "scope": scope, "hash": hashed})


def _canonical(scope: dict[str, Any]) -> dict[str, Any]:
    if "resource_id" in scope:
        return {"resource_id": _one_form(scope["resource_id"])}
    return {name: value for name, value in scope.items() if value != {} or name == "partition"}


def _one_form(key: str) -> str:
    try:
        read = json.loads(key)
    except (ValueError, RecursionError):
        return key
    if isinstance(read, list) and read and all(isinstance(part, str) for part in read):
        return json.dumps(read, separators=(",", ":"))
    return read if isinstance(read, str) and read[:1] in ("[", '"') else key


def downgrade() -> None:
    op.drop_column("records", "version_digits")
    op.drop_column("gaps", "exact_scope")
    op.drop_column("gaps", "tried_run_id")
