"""Views of what the fleet has to do, the queue of each connector, marks of processes, and indexes for old rows

Old code still runs while this is applied: nothing that it uses changes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0022"
branch_labels = None
depends_on = None

_ACTIVE = "runs.status IN ('queued', 'running')"
_PRESSURE = "'rate_limited', 'upstream_pressure'"
_DUE = f"""gaps.status = 'open' AND gaps.next_attempt_at <= now()
    AND (gaps.reason NOT IN ({_PRESSURE}) OR connections.cooldown_until IS NULL OR connections.cooldown_until <= now())"""

# A row for each queue and state, also where there is none: a scaler and an alarm want a number.
_RUNS = f"""
    SELECT queue, state, count(id) AS runs,
        coalesce(max(extract(epoch FROM now() - not_before)) FILTER (WHERE state = 'due'), 0)::float8 AS oldest_s
    FROM (VALUES ('collect'), ('local')) AS queues (queue)
    CROSS JOIN (VALUES ('due'), ('working'), ('waiting')) AS states (state)
    LEFT JOIN (
        SELECT runs.id, runs.not_before, coalesce(connector_queues.queue, 'collect') AS queue,
            CASE WHEN leases.expires_at > now() THEN 'working' WHEN runs.not_before > now() THEN 'waiting' ELSE 'due' END
                AS state
        FROM runs JOIN connections ON connections.id = runs.connection_id
        LEFT JOIN connector_queues ON connector_queues.connector = connections.connector
        LEFT JOIN leases ON leases.connection_id = runs.connection_id
        WHERE {_ACTIVE}
    ) AS active USING (queue, state)
    GROUP BY queue, state
"""
_WAITS = f"""
    SELECT coalesce(wait_reason, 'no reason is known') AS reason, count(*) AS runs
    FROM runs LEFT JOIN leases ON leases.connection_id = runs.connection_id
    WHERE {_ACTIVE} AND not_before > now() AND (leases.expires_at IS NULL OR leases.expires_at <= now())
    GROUP BY 1
"""
# Counted up to a bound, so that a look stays cheap whatever is missing.
_GAPS = f"""
    SELECT connections.name AS connection, counted.gaps,
        coalesce(extract(epoch FROM now() - counted.first), 0)::float8 AS oldest_s
    FROM connections CROSS JOIN LATERAL (
        SELECT count(*) AS gaps, min(next_attempt_at) AS first FROM (
            SELECT next_attempt_at FROM gaps WHERE gaps.connection_id = connections.id AND {_DUE}
            ORDER BY next_attempt_at, gaps.id LIMIT 10000) AS due
    ) AS counted
"""
# A lease that a worker gave back is nobody's; one that ran out belongs to a slice that has not ended in good order.
_LEASES = f"""
    SELECT state, count(leases.connection_id) AS leases
    FROM (VALUES ('live'), ('expired')) AS states (state)
    LEFT JOIN (
        SELECT leases.connection_id, CASE WHEN expires_at > now() THEN 'live' ELSE 'expired' END AS state
        FROM leases JOIN runs ON runs.id = leases.run_id AND {_ACTIVE}
        WHERE expires_at > now() OR runs.died_slices > 0
    ) AS leases USING (state)
    GROUP BY state
"""
_STANDSTILLS = """
    SELECT still_cause AS cause, count(*) AS connections FROM connections WHERE still_cause IS NOT NULL GROUP BY 1
"""
_FAILING_SINCE = """
    SELECT min(created_at) FROM (
        SELECT id, created_at, status, spent_requests FROM runs
        WHERE runs.connection_id = connections.id AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 3
    ) AS latest
    HAVING count(*) = 3 AND bool_and(status = 'failed' AND spent_requests = 0) AND NOT EXISTS (
        SELECT 1 FROM gaps WHERE gaps.connection_id = connections.id AND gaps.last_run_id = max(latest.id)
            AND gaps.closed_at IS NULL AND gaps.next_attempt_at IS NULL AND gaps.recovery_kind = 'retry_by_runtime')
"""
# The rule of docs/operating.md: work that could go on now, and since when nobody has touched it.
_UNTOUCHED = f"""
    SELECT connection, coalesce(greatest(extract(epoch FROM now() - CASE
        WHEN hold_until > now() THEN NULL
        WHEN failing_since IS NOT NULL AND installed AND NOT paused THEN failing_since
        ELSE greatest(eligible_since, CASE WHEN eligible_since IS NOT NULL AND touched_at IS NOT NULL THEN least(touched_at, now()) END,
            CASE WHEN eligible_since IS NOT NULL AND hold_until <= now() THEN hold_until END,
            CASE WHEN eligible_since IS NOT NULL AND cooldown_until <= now() THEN cooldown_until END)
        END), 0), 0)::float8 AS untouched_s
    FROM (
        SELECT connections.name AS connection, cooldown_until, installed.connector IS NOT NULL AS installed,
            coalesce(paused, false) AS paused,
            CASE WHEN state #>> '{{hold,until}}' ~ '^\\d{{4}}-\\d\\d-\\d\\dT[0-9:.]+([+-]\\d\\d:?\\d\\d|Z)$'
                THEN CAST(state #>> '{{hold,until}}' AS timestamptz) END AS hold_until,
            (SELECT touched_at FROM runs WHERE runs.connection_id = connections.id AND touched_at IS NOT NULL
                ORDER BY runs.id DESC LIMIT 1) AS touched_at,
            ({_FAILING_SINCE}) AS failing_since,
            CASE WHEN run.id IS NOT NULL THEN
                CASE WHEN leases.expires_at > now() OR run.not_before <= now() OR run.wait_reason IS NULL
                    THEN run.created_at END
            WHEN NOT coalesce(paused, false) AND installed.connector IS NOT NULL THEN
                least(CASE WHEN next_run_at <= now() THEN next_run_at END, (
                    SELECT next_attempt_at FROM gaps WHERE gaps.connection_id = connections.id AND {_DUE}
                    ORDER BY next_attempt_at LIMIT 1)) END AS eligible_since
        FROM connections
        LEFT JOIN connector_queues AS installed ON installed.connector = connections.connector
        LEFT JOIN rate_states ON rate_states.connection_id = connections.id
        LEFT JOIN schedules ON schedules.connection_id = connections.id
        LEFT JOIN runs AS run ON run.connection_id = connections.id AND run.status IN ('queued', 'running')
        LEFT JOIN leases ON leases.connection_id = connections.id AND leases.run_id = run.id
    ) AS waits
"""
_STUCK = """
    SELECT count(*) AS threads FROM events WHERE type = 'thread_stuck' AND at > now() - interval '1 hour'
"""
_WORKERS = """
    SELECT queue, count(name) AS workers
    FROM (VALUES ('control'), ('collect'), ('local')) AS queues (queue)
    LEFT JOIN fleet_processes ON split_part(name, '@', 1) = queue AND seen_at > now() - interval '2 minutes'
    GROUP BY queue
"""
VIEWS = {
    "fleet_runs": _RUNS,
    "fleet_waits": _WAITS,
    "fleet_workers": _WORKERS,
    "fleet_gaps": _GAPS,
    "fleet_leases": _LEASES,
    "fleet_standstills": _STANDSTILLS,
    "fleet_untouched": _UNTOUCHED,
    "fleet_stuck_threads": _STUCK,
}


def upgrade() -> None:
    op.create_table(
        "connector_queues",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connector", name=op.f("pk_connector_queues")),
    )
    op.create_table(
        "fleet_processes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stuck", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fleet_processes")),
    )
    op.create_index("ix_runs_ended", "runs", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
    op.create_index("ix_events_stuck", "events", ["at"], postgresql_where=sa.text("type = 'thread_stuck'"))
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    op.drop_index("ix_events_stuck", "events")
    op.drop_index("ix_runs_ended", "runs")
    op.drop_table("fleet_processes")
    op.drop_table("connector_queues")
