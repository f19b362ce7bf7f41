"""The keys of Claude Code's messages and attachments, without the project's directory

A walk cannot do it: it knows what earlier versions held by its cursor alone, and a new stream or a full refresh begins
without one. The old key stays as a deletion, so that a mirror of the records sees both sides of the change. Old code
still runs while this is applied.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# Of one line in several copies of a project, the latest record stays. The hash is that of the record before its key
# changed, so the next walk writes the whole record.
_MOVE = """
    WITH old AS MATERIALIZED (
        SELECT records.*, substr(key, length(split_part(records.data ->> 'file', '/', 1)) + 2) AS new_key
        FROM records JOIN connections ON connections.id = records.connection_id
        WHERE connections.connector = 'claude_code' AND stream IN ('messages', 'attachments') AND deleted_at IS NULL
            AND starts_with(key, split_part(records.data ->> 'file', '/', 1) || '/')
    ), latest AS (
        SELECT DISTINCT ON (connection_id, stream, new_key) * FROM old
        ORDER BY connection_id, stream, new_key, emitted_at DESC, key
    ), moved AS (
        INSERT INTO records (connection_id, stream, key, data, raw, content_hash, version, version_digits, partial,
            emitted_at, first_run_id, last_run_id)
        SELECT connection_id, stream, new_key, jsonb_set(data, '{id}', to_jsonb(new_key)), raw, content_hash, version,
            version_digits, partial, emitted_at, first_run_id, last_run_id
        FROM latest ON CONFLICT (connection_id, stream, key) DO NOTHING
    ), gone AS (
        UPDATE records SET deleted_at = now(), emitted_at = now(), deleted_with = NULL FROM old
        WHERE records.connection_id = old.connection_id AND records.stream = old.stream AND records.key = old.key
    ), settled AS (
        DELETE FROM deletion_doubts USING old WHERE deletion_doubts.connection_id = old.connection_id
            AND deletion_doubts.stream = old.stream AND deletion_doubts.key = old.key
    )
    INSERT INTO index_queue (connection_id, stream, keys)
    SELECT connection_id, stream, array_agg(key) FROM (
        SELECT connection_id, stream, key,
            (row_number() OVER (PARTITION BY connection_id, stream ORDER BY key) - 1) / 1000 AS part
        FROM (SELECT connection_id, stream, key FROM old
            UNION SELECT connection_id, stream, new_key FROM latest) AS changed
    ) AS numbered GROUP BY connection_id, stream, part
"""


def upgrade() -> None:
    op.execute(_MOVE)


def downgrade() -> None:
    """Earlier versions read everything anew under their own keys."""
