"""Open gaps, or count another attempt at those that are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.protocol.reasons import MAY_HAVE_PASSED
from pdpp_worker.protocol.scope import WHOLE_STREAM, scope_json
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.effects import GapKey, GapReport
from pdpp_worker.store.gaps.attempts import REPORTED
from pdpp_worker.store.gaps.retry_policy import RetryPolicy, next_attempt
from pdpp_worker.store.values import encode, storable

# A run tries a gap once, however often it says so. One that a run closes and misses again is as if it had only missed
# it; one that an earlier run closed is open anew.
_IS_ANEW = "(held.closed_at IS NOT NULL AND held.last_run_id <> excluded.last_run_id)"
_ATTEMPTS = f"""(CASE WHEN {_IS_ANEW} THEN 1
    WHEN held.tried_run_id = excluded.tried_run_id THEN held.attempts ELSE held.attempts + 1 END)"""
# A transient cause says nothing of whether this version can read what an earlier one could not: it goes on trying.
_IS_TRIED = f"""(NOT {_IS_ANEW} AND held.recovery_kind = 'retry_on_connector_upgrade'
    AND excluded.recovery_kind = 'retry_by_runtime' AND excluded.next_attempt_at IS NOT NULL
    AND held.connector_version_seen <> excluded.connector_version_seen)"""
# What one version could not read, it looks at once more after a day, whatever walks say until then: the source may have
# been half written. Then it waits for another version. A whole stream is walked again anyway.
_LOOK_AGAIN = f"""(CASE
    WHEN {_IS_ANEW} OR held.recovery_kind = 'retry_by_runtime' THEN excluded.next_attempt_at
    WHEN held.opened_for_version IS NULL AND held.next_attempt_at > clock_timestamp() THEN held.next_attempt_at END)"""
# However long a pause the provider wants, it is asked again after a day.
# A closed gap that is missed again is the same row, open again, its attempts counted anew. One that the owner waived
# stays waived; a whole stream only for that reason, and not for one that asks for the owner, which is new each time.
_UPSERT = text(f"""
    WITH missed AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(:misses) AS missed (stream text, parent_stream text, scope jsonb,
            exact_scope text, scope_hash text, reason text, recovery_kind text, timed bool, may_have_passed bool,
            retry_after timestamptz, version_required text, locator jsonb, exact_locator text, record_key jsonb,
            last_error text)
    ), changed AS (
    INSERT INTO gaps AS held (connection_id, stream, parent_stream, scope, exact_scope, scope_hash, reason,
        recovery_kind, first_run_id, last_run_id, tried_run_id, status, attempts, opened_at, next_attempt_at,
        retry_after, opened_by_version, connector_version_seen, connector_version_required, detail_locator,
        exact_locator, record_key, last_error)
    SELECT :connection_id, stream, parent_stream, scope, exact_scope, decode(scope_hash, 'hex'), reason, recovery_kind,
        :run_id, :run_id, :run_id, CASE WHEN timed AND :max_attempts <= 1 THEN 'exhausted' ELSE 'open' END, 1, now(),
        CASE WHEN timed THEN greatest(pause_until, {next_attempt("0")})
            WHEN may_have_passed THEN clock_timestamp() + interval '1 day' END,
        pause_until, :version, :version, version_required, locator, exact_locator, record_key, last_error
    FROM missed, LATERAL (SELECT CASE WHEN retry_after < clock_timestamp() + interval '1 day' THEN retry_after
            WHEN retry_after IS NOT NULL THEN clock_timestamp() + interval '1 day' END AS pause_until) AS longest
    ON CONFLICT ON CONSTRAINT uq_gaps_scope DO UPDATE SET
        parent_stream = excluded.parent_stream, scope = excluded.scope, exact_scope = excluded.exact_scope,
        reason = CASE WHEN {_IS_TRIED} THEN held.reason ELSE excluded.reason END,
        recovery_kind = CASE WHEN {_IS_TRIED} THEN held.recovery_kind ELSE excluded.recovery_kind END,
        last_run_id = excluded.last_run_id, leased_by_run_id = NULL,
        tried_run_id = excluded.tried_run_id, attempts = {_ATTEMPTS},
        opened_at = CASE WHEN {_IS_ANEW} THEN now() ELSE held.opened_at END,
        first_run_id = CASE WHEN {_IS_ANEW} THEN excluded.first_run_id ELSE held.first_run_id END,
        opened_by_version = CASE WHEN {_IS_ANEW} THEN excluded.opened_by_version ELSE held.opened_by_version END,
        closed_at = NULL, closed_by_version = NULL, structural = false,
        opened_for_version = CASE WHEN NOT {_IS_ANEW} THEN held.opened_for_version END,
        status = CASE WHEN {_ATTEMPTS} >= :max_attempts AND excluded.next_attempt_at IS NOT NULL AND NOT {_IS_TRIED}
            AND excluded.recovery_kind = 'retry_by_runtime' THEN 'exhausted' ELSE excluded.status END,
        next_attempt_at = CASE WHEN excluded.recovery_kind = 'retry_on_connector_upgrade' THEN {_LOOK_AGAIN}
            WHEN excluded.next_attempt_at IS NOT NULL THEN greatest(excluded.retry_after,
            {next_attempt(f"{_ATTEMPTS} - 1")}) END,
        retry_after = excluded.retry_after,
        connector_version_seen = CASE WHEN {_IS_TRIED}
            THEN held.connector_version_seen ELSE excluded.connector_version_seen END,
        connector_version_required = CASE WHEN {_IS_TRIED}
            THEN held.connector_version_required ELSE excluded.connector_version_required END,
        detail_locator = coalesce(excluded.detail_locator, held.detail_locator),
        exact_locator = CASE WHEN excluded.detail_locator IS NULL
            THEN held.exact_locator ELSE excluded.exact_locator END,
        record_key = coalesce(excluded.record_key, held.record_key),
        last_error = excluded.last_error
    WHERE held.status <> 'waived' OR (held.last_run_id <> excluded.last_run_id
        AND held.scope = '{{"partition": {{}}}}'
        AND (held.reason <> excluded.reason OR (excluded.recovery_kind = 'retry_by_runtime'
            AND excluded.next_attempt_at IS NULL)))
    RETURNING held.id, stream, scope_hash, attempts, status, next_attempt_at, opened_at = now() AS opened
    ), {REPORTED}
    SELECT stream, scope_hash, opened FROM changed
""").bindparams(bindparam("misses", type_=JSONB))


def report(
    connection: Connection, claim: Claim, version: str, policy: RetryPolicy, misses: Mapping[GapKey, GapReport]
) -> list[GapReport]:
    """Open gaps, or count another attempt at those that are known; returns those that are newly open."""
    if not misses:
        return []
    values = {
        "version": version,
        "connection_id": claim.connection_id,
        "run_id": claim.run_id,
        **policy._asdict(),
        "misses": [_values(found, place[1]) for place, found in misses.items()],
    }
    rows = connection.execute(_UPSERT, values).all()
    return [misses[row.stream, bytes(row.scope_hash)] for row in rows if row.opened]


def _values(found: GapReport, hashed: bytes) -> dict[str, Any]:
    scope = encode(scope_json(found.scope))
    locator = None if found.detail_locator is None else encode(found.detail_locator)
    return {
        "stream": found.stream,
        "parent_stream": found.parent_stream,
        "scope": json.loads(scope.text),
        "exact_scope": None if scope.raw is None else scope.raw.decode(),
        "scope_hash": hashed.hex(),
        "reason": found.reason,
        "recovery_kind": found.recovery_kind,
        "timed": found.recovery_kind == "retry_by_runtime" and not found.waits_for_owner,
        "may_have_passed": found.reason in MAY_HAVE_PASSED and found.scope != WHOLE_STREAM,
        "retry_after": None if found.retry_after is None else found.retry_after.isoformat(),
        "version_required": found.connector_version_required,
        "locator": None if locator is None else json.loads(locator.text),
        "record_key": found.record_key,
        "exact_locator": None if locator is None or locator.raw is None else locator.raw.decode(),
        "last_error": storable(found.last_error),
    }
