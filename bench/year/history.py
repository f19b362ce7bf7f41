"""A history: runs, their streams, events, rates, closed gaps and records of many connections, over many days."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from pdpp_worker.store.engine import Database

CONNECTOR = "chatgpt"
STREAMS = ("conversations", "messages", "memories")
OPEN_GAPS = 100
"""Of each connection, whatever the length of the history."""


@dataclass(frozen=True)
class Size:
    """How much there is of it."""

    connections: int = 50
    runs_a_day: int = 12
    """Of each connection."""
    records: int = 10_000
    """Of each connection, whatever the length of the history: what is held is counted."""


_CONNECTIONS = """
    INSERT INTO connections (name, connector)
        SELECT 'account-' || n, :connector FROM generate_series(1, :connections) AS n;
    INSERT INTO leases (connection_id, token, holder, run_id, expires_at) SELECT id, 0, '', 0, now() FROM connections;
    INSERT INTO schedules (connection_id, every_s, next_run_at)
        SELECT id, 7200, now() + (id % 100 - 2) * interval '1 minute' FROM connections;
    INSERT INTO rate_states (connection_id, state) SELECT id, '{"interval_ms": 600}' FROM connections
"""
# Runs of all connections are mixed in the table, as they come in time. Each run emits what it flushed.
_RUNS = """
    INSERT INTO runs (connection_id, kind, trigger, mode, status, streams, connector_version, created_at, started_at,
        ended_at, touched_at, slices, records_emitted, records_flushed, records_durable, spent_requests)
    SELECT 1 + n % :connections, 'forward', 'schedule', 'incremental', 'succeeded', '[{"name": "messages"}]', '1.0.0',
        moment, moment, moment + interval '5 minutes', moment + interval '5 minutes', 5, 10, 10, 10, 50
    FROM (SELECT n, now() - :days * interval '1 day'
            + n * (:days * interval '1 day' / :runs) - interval '10 minutes' AS moment
        FROM generate_series(1, :runs) AS n) AS numbered ORDER BY n;
    INSERT INTO run_streams (run_id, stream, state, records_emitted, records_flushed, considered)
        SELECT id, stream, 'finished', 3, 3, 3 FROM runs, unnest(CAST(:streams AS text[])) AS stream ORDER BY id;
    INSERT INTO events (connection_id, run_id, at, type, data)
        SELECT connection_id, id, created_at + part * interval '1 minute', (ARRAY['run_queued', 'run_started',
            'slice_ended', 'slice_started', 'slice_ended', 'run_ended'])[part], '{"slice": 1}'
        FROM runs, generate_series(1, 6) AS part ORDER BY id, part;
    INSERT INTO rate_history (connection_id, at, interval_ms)
        SELECT connection_id, created_at + part * interval '1 minute', 600 FROM runs, generate_series(1, 3) AS part
        ORDER BY id, part
"""
_HELD = """
    INSERT INTO records (connection_id, stream, key, data, content_hash, partial, emitted_at, first_run_id, last_run_id)
    SELECT 1 + n % :connections, (CAST(:streams AS text[]))[1 + n % 3], md5('record' || n),
        jsonb_build_object('id', n, 'text', repeat(md5(n::text), 4)), decode(md5(n::text), 'hex'), false, now(), 1, 1
    FROM generate_series(1, :records) AS n;
    INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, status, first_run_id,
        last_run_id, opened_at, closed_at, next_attempt_at, connector_version_seen)
    SELECT 1 + n % :connections, (CAST(:streams AS text[]))[1 + n % 3], jsonb_build_object('resource_id', md5(n::text)),
        decode(md5('scope' || n), 'hex'), 'upstream_error', 'retry_by_runtime',
        CASE WHEN n <= :open THEN 'open' ELSE 'recovered' END, 1, 1, now(), CASE WHEN n > :open THEN now() END,
        now() + (hashint4(n) % 86400) * interval '1 second', '1.0.0'
    FROM generate_series(1, :open + :runs) AS n ORDER BY hashint4(n)
"""
_ACTIVE = """
    INSERT INTO runs (connection_id, kind, trigger, mode, streams, connector_version)
    SELECT id, 'forward', 'schedule', 'incremental', '[{"name": "messages"}]', '1.0.0' FROM connections WHERE id % 5 = 0
"""


def fill(db: Database, days: int, size: Size) -> None:
    """Make the history, and let the server take its statistics as autovacuum would."""
    values = {
        "connections": size.connections,
        "runs": size.connections * size.runs_a_day * days,
        "records": size.connections * size.records,
        "days": days,
        "streams": list(STREAMS),
        "open": OPEN_GAPS * size.connections,
        "connector": CONNECTOR,
    }
    with db.begin() as connection:
        for statement in ";".join((_CONNECTIONS, _RUNS, _HELD, _ACTIVE)).split(";"):
            connection.execute(text(statement), values)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
