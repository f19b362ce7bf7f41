"""A backlog: open gaps over several connections, as many closed ones behind them, and the records that are held."""

from __future__ import annotations

from sqlalchemy import text

from pdpp_worker.store.engine import Database

CONNECTOR = "chatgpt"
STREAMS = ("conversations", "messages", "memories")

_CONNECTIONS = text("""
    INSERT INTO connections (name, connector) SELECT 'account-' || n, :connector FROM generate_series(1, :count) AS n
""")
_RATES = text("""INSERT INTO rate_states (connection_id, state) SELECT id, '{"interval_ms": 600}' FROM connections""")
# Half of the open ones are due; one in twenty waits for a version and one in fifty was given up. Their order in the
# table is not their order in time, as it would not be after some weeks.
_GAPS = text("""
    INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, status, attempts, first_run_id,
        last_run_id, opened_at, closed_at, next_attempt_at, connector_version_seen, last_error)
    SELECT 1 + n % :connections, (CAST(:streams AS text[]))[1 + n % 3],
        jsonb_build_object('resource_id', md5(n::text)), decode(md5('scope' || n), 'hex'),
        CASE WHEN n % 20 = 0 THEN 'parse_failed' WHEN n % 4 = 0 THEN 'rate_limited' ELSE 'upstream_error' END,
        CASE WHEN n % 20 = 0 THEN 'retry_on_connector_upgrade' ELSE 'retry_by_runtime' END,
        CASE WHEN closed THEN 'recovered' WHEN n % 50 = 7 THEN 'exhausted' ELSE 'open' END, 1 + n % 5, 1, 1,
        now() - n % 1000 * interval '1 minute', CASE WHEN closed THEN now() END,
        CASE WHEN n % 20 <> 0 THEN now() + (hashint4(n) % 86400) * interval '1 second' END, '1.0.0',
        'the provider answered 503'
    FROM (SELECT n, n > :open AS closed FROM generate_series(1, 2 * :open) AS n) AS numbered
    ORDER BY hashint4(n)
""")
_RECORDS = text("""
    INSERT INTO records (connection_id, stream, key, data, content_hash, partial, emitted_at, first_run_id, last_run_id)
    SELECT 1 + n % :connections, (CAST(:streams AS text[]))[1 + n % 3], md5('record' || n),
        jsonb_build_object('id', n, 'text', repeat(md5(n::text), 18)), decode(md5(n::text), 'hex'), false, now(), 1, 1
    FROM generate_series(1, :records) AS n
""")


def fill(db: Database, *, connections: int, open_gaps: int, records: int) -> None:
    """Make the backlog, and let the server take its statistics as autovacuum would."""
    common = {"connections": connections, "streams": list(STREAMS)}
    with db.begin() as connection:
        connection.execute(_CONNECTIONS, {"connector": CONNECTOR, "count": connections})
        connection.execute(_RATES)
        connection.execute(_GAPS, {**common, "open": open_gaps})
        connection.execute(_RECORDS, {**common, "records": records})
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) gaps, records, connections"))
