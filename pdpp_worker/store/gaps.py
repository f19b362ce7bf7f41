"""Gaps: what is missing, why, and when it is asked for again. A gap is opened, tried and closed, never deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from pdpp_worker.protocol.messages import GapToClose
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, Scope, scope_key
from pdpp_worker.store.batch import Claim, Closure, Miss
from pdpp_worker.store.values import storable, storable_json


class RetryPolicy(NamedTuple):
    """When a gap is tried again: seconds, doubling with each attempt, and after how many attempts it is given up."""

    first_s: float
    max_s: float
    max_attempts: int


# A closed gap that is missed again is the same row, open again, its attempts counted anew.
_UPSERT = text("""
    INSERT INTO gaps AS held (connection_id, stream, parent_stream, scope, scope_hash, reason, recovery_kind,
        first_run_id, last_run_id, next_attempt_at, retry_after, connector_version_seen, connector_version_required,
        detail_locator, last_error)
    VALUES (:connection_id, :stream, :parent_stream, CAST(:scope AS jsonb), :scope_hash, :reason, :recovery_kind,
        :run_id, :run_id, CASE WHEN :timed THEN greatest(CAST(:retry_after AS timestamptz),
            clock_timestamp() + least(:max_s, :first_s * (1 + random() / 10)) * interval '1 second') END,
        :retry_after, :version, :version_required, CAST(:locator AS jsonb), :last_error)
    ON CONFLICT ON CONSTRAINT uq_gaps_scope DO UPDATE SET
        parent_stream = excluded.parent_stream, scope = excluded.scope, reason = excluded.reason,
        recovery_kind = excluded.recovery_kind, last_run_id = excluded.last_run_id, leased_by_run_id = NULL,
        attempts = CASE WHEN held.closed_at IS NULL THEN held.attempts + 1 ELSE 1 END,
        opened_at = CASE WHEN held.closed_at IS NULL THEN held.opened_at ELSE clock_timestamp() END,
        first_run_id = CASE WHEN held.closed_at IS NULL THEN held.first_run_id ELSE excluded.first_run_id END,
        closed_at = NULL,
        status = CASE WHEN held.closed_at IS NULL AND held.attempts + 1 >= :max_attempts AND :timed
            THEN 'exhausted' ELSE 'open' END,
        next_attempt_at = CASE WHEN :timed THEN greatest(CAST(:retry_after AS timestamptz), clock_timestamp()
            + least(:max_s, :first_s * (1 + random() / 10) * power(2, CASE WHEN held.closed_at IS NULL
                THEN least(held.attempts, 40) ELSE 0 END)) * interval '1 second') END,
        retry_after = excluded.retry_after, connector_version_seen = excluded.connector_version_seen,
        connector_version_required = excluded.connector_version_required,
        detail_locator = coalesce(excluded.detail_locator, held.detail_locator), last_error = excluded.last_error
    RETURNING (xmax = 0) OR attempts = 1
""")
_CLOSE = text("""
    UPDATE gaps SET status = :status, closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE id = :id AND connection_id = :connection_id AND closed_at IS NULL
    RETURNING stream
""")
# That a resource was read says nothing of a record that was refused: only the record itself proves it.
_CLOSE_BY_SCOPE = text("""
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND scope_hash = ANY(:hashes)
        AND reason <> 'record_rejected'
    RETURNING stream
""").bindparams(bindparam("hashes", type_=ARRAY(BYTEA)))
# Whoever waited longest comes first, and each attempt sends a row back by an hour, so that no page of rows which keep
# failing stands in the way of the others.
_DUE = text("""
    SELECT id, stream, scope, reason, detail_locator FROM gaps
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at <= clock_timestamp()
        AND last_run_id <> :run_id
    ORDER BY opened_at + attempts * interval '1 hour', id
    LIMIT :limit
""")

_DUE_CONNECTIONS = text("""
    SELECT gaps.connection_id, connections.connector, bool_and(scope ? 'resource_id') AS only_resources
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE gaps.status = 'open' AND next_attempt_at <= clock_timestamp()
        AND (CAST(:ids AS bigint[]) IS NULL OR gaps.connection_id = ANY(:ids))
        AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.connection_id = gaps.connection_id
            AND runs.status IN ('queued', 'running'))
    GROUP BY gaps.connection_id, connections.connector ORDER BY min(next_attempt_at) LIMIT :limit
""")
_MAKE_DUE = text("""
    UPDATE gaps SET status = 'open', next_attempt_at = clock_timestamp(),
        attempts = CASE WHEN status = 'exhausted' THEN 0 ELSE attempts END
    WHERE connection_id = ANY(:ids) AND status IN ('open', 'exhausted') AND recovery_kind = 'retry_by_runtime'
""")
_PUT_OFF = text("""
    UPDATE gaps SET attempts = attempts + 1, last_run_id = :run_id, connector_version_seen = :version,
        status = CASE WHEN recovery_kind = 'retry_by_runtime' AND attempts + 1 >= :max_attempts
            THEN 'exhausted' ELSE 'open' END,
        next_attempt_at = CASE WHEN recovery_kind = 'retry_by_runtime' THEN clock_timestamp()
            + least(:max_s, :first_s * power(2, least(attempts, 40))) * interval '1 second' END
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at <= clock_timestamp()
        AND last_run_id <> :run_id AND (:every_due OR id = ANY(:ids))
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
_REJECTED = text("""
    SELECT id, stream, scope ->> 'resource_id' AS resource_id FROM gaps
    WHERE connection_id = :connection_id AND closed_at IS NULL AND reason = 'record_rejected' LIMIT :limit
""")


def miss(connection: Connection, claim: Claim, version: str, policy: RetryPolicy, misses: Sequence[Miss]) -> list[Miss]:
    """Open gaps, or count another attempt at those that are known. Returns those that are newly open."""
    return [
        found for found in misses if connection.execute(_UPSERT, _values(claim, version, policy, found)).scalar_one()
    ]


def close(connection: Connection, claim: Claim, closures: Sequence[Closure]) -> list[str]:
    """Close gaps by id; returns their streams. A gap that is closed already is left alone."""
    closed: list[str] = []
    for closure in closures:
        status = "absent_upstream" if closure.absent else "recovered"
        values = {"id": closure.gap_id, "status": status, "run_id": claim.run_id, "connection_id": claim.connection_id}
        closed += connection.execute(_CLOSE, values).scalars()
    return closed


def close_resources(connection: Connection, claim: Claim, stream: str, keys: Sequence[str]) -> list[str]:
    """Close the open gaps about resources that were read after all; returns their streams."""
    hashes = [scope_hash(ResourceScope(resource_id=key)) for key in keys]
    return _close_scopes(connection, claim, stream, hashes)


def close_whole_stream(connection: Connection, claim: Claim, stream: str) -> list[str]:
    """Close the gap about a whole stream: the run that holds the claim walked it to its end."""
    return _close_scopes(connection, claim, stream, [scope_hash(WHOLE_STREAM)])


def due(connection: Connection, connection_id: int, run_id: int, limit: int) -> list[GapToClose]:
    """The gaps of a connection that a run may try now, fairest first.

    What the run has met itself is left to the next one, or its own failures would keep it from walking on.
    """
    rows = connection.execute(_DUE, {"connection_id": connection_id, "run_id": run_id, "limit": limit})
    return [
        GapToClose(
            gap_id=str(row.id), stream=row.stream, scope=row.scope, reason=row.reason, detail_locator=row.detail_locator
        )
        for row in rows
    ]


class DueConnection(NamedTuple):
    """A connection with gaps that may be tried now."""

    connection_id: int
    connector: str
    only_resources: bool
    """Whether every due gap names one resource."""


def due_connections(
    connection: Connection, limit: int, connection_ids: Sequence[int] | None = None
) -> list[DueConnection]:
    """Connections without a run of their own that have due gaps, longest due first."""
    ids = list(connection_ids) if connection_ids is not None else None
    return [DueConnection(*row) for row in connection.execute(_DUE_CONNECTIONS, {"limit": limit, "ids": ids})]


def make_due(connection: Connection, connection_ids: Sequence[int]) -> list[DueConnection]:
    """Let all transient gaps of these connections be tried now, those that were given up included."""
    connection.execute(_MAKE_DUE, {"ids": list(connection_ids)})
    return due_connections(connection, len(connection_ids) or 1, connection_ids)


def put_off(
    connection: Connection, claim: Claim, version: str, policy: RetryPolicy, ids: Sequence[int], *, every_due: bool
) -> None:
    """Count an attempt at gaps that a run had before it and left as they were, so that they do not stay due for ever.

    `every_due`: the connector cannot be asked for single gaps, so its walk was the attempt at all of them.
    """
    values = {
        "connection_id": claim.connection_id,
        "run_id": claim.run_id,
        "version": version,
        "first_s": policy.first_s,
        "max_s": policy.max_s,
        "max_attempts": policy.max_attempts,
        "ids": list(ids),
        "every_due": every_due,
    }
    connection.execute(_PUT_OFF, values)


def rejected(connection: Connection, connection_id: int, limit: int) -> dict[tuple[str, str], int]:
    """(stream, key) to gap id of the records that were refused for their shape and never came right since."""
    rows = connection.execute(_REJECTED, {"connection_id": connection_id, "limit": limit})
    return {(row.stream, row.resource_id): row.id for row in rows}


def scope_hash(scope: Scope) -> bytes:
    """The gap's key: a digest of its canonical scope, so that a scope of any length fits an index."""
    return blake2b(scope_key(scope).encode(), digest_size=16).digest()


def _close_scopes(connection: Connection, claim: Claim, stream: str, hashes: list[bytes]) -> list[str]:
    if not hashes:
        return []
    values = {"connection_id": claim.connection_id, "run_id": claim.run_id, "stream": stream, "hashes": hashes}
    return list(connection.execute(_CLOSE_BY_SCOPE, values).scalars())


def _values(claim: Claim, version: str, policy: RetryPolicy, found: Miss) -> dict[str, Any]:
    timed = found.recovery_kind == "retry_by_runtime" and not found.waits_for_owner
    return {
        "connection_id": claim.connection_id,
        "run_id": claim.run_id,
        "stream": found.stream,
        "parent_stream": found.parent_stream,
        "scope": storable_json(json.loads(scope_key(found.scope))),
        "scope_hash": scope_hash(found.scope),
        "reason": found.reason,
        "recovery_kind": found.recovery_kind,
        "timed": timed,
        "first_s": policy.first_s,
        "max_s": policy.max_s,
        "max_attempts": policy.max_attempts,
        "retry_after": found.retry_after,
        "version": version,
        "version_required": found.connector_version_required,
        "locator": None if found.detail_locator is None else storable_json(found.detail_locator),
        "last_error": storable(found.last_error),
    }
