"""Gaps: what is missing, and why. A gap is opened, tried and closed, never deleted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, BYTEA, JSONB

from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, Scope, scope_key
from pdpp_worker.store.batch import Claim, Closure, Miss
from pdpp_worker.store.values import storable, storable_json


class RetryPolicy(NamedTuple):
    """When a gap is tried again: seconds, doubling with each attempt, and after how many attempts it is given up."""

    first_s: float
    max_s: float
    max_attempts: int


# A run that meets the same miss in one slice after another has tried once.
_ATTEMPTS = """(CASE WHEN held.closed_at IS NOT NULL THEN excluded.attempts
    WHEN held.last_run_id = excluded.last_run_id THEN held.attempts ELSE held.attempts + excluded.attempts END)"""
# However long a pause the provider wants, it is asked again after a day.
# A closed gap that is missed again is the same row, open again, its attempts counted anew. One that the owner waived
# stays waived.
_UPSERT = text(f"""
    INSERT INTO gaps AS held (connection_id, stream, parent_stream, scope, scope_hash, reason, recovery_kind,
        first_run_id, last_run_id, status, attempts, opened_at, next_attempt_at, retry_after, connector_version_seen,
        connector_version_required, detail_locator, last_error)
    SELECT :connection_id, stream, parent_stream, scope, decode(scope_hash, 'hex'), reason, recovery_kind,
        :run_id, :run_id, CASE WHEN timed AND times >= :max_attempts THEN 'exhausted' ELSE 'open' END, times, now(),
        CASE WHEN timed THEN greatest(pause_until, clock_timestamp() + interval '1 second'
            * least(:max_s, :first_s * (1 + random() / 10) * power(2, least(times - 1, 40)))) END,
        pause_until, :version, version_required, locator, last_error
    FROM jsonb_to_recordset(:misses) AS missed (stream text, parent_stream text, scope jsonb, scope_hash text,
        reason text, recovery_kind text, times int, timed bool, retry_after timestamptz, version_required text,
        locator jsonb, last_error text),
        LATERAL (SELECT CASE WHEN retry_after < clock_timestamp() + interval '1 day' THEN retry_after
            WHEN retry_after IS NOT NULL THEN clock_timestamp() + interval '1 day' END AS pause_until) AS longest
    ON CONFLICT ON CONSTRAINT uq_gaps_scope DO UPDATE SET
        parent_stream = excluded.parent_stream, scope = excluded.scope, reason = excluded.reason,
        recovery_kind = excluded.recovery_kind, last_run_id = excluded.last_run_id, leased_by_run_id = NULL,
        attempts = {_ATTEMPTS},
        opened_at = CASE WHEN held.closed_at IS NULL THEN held.opened_at ELSE now() END,
        first_run_id = CASE WHEN held.closed_at IS NULL THEN held.first_run_id ELSE excluded.first_run_id END,
        closed_at = NULL,
        status = CASE WHEN held.closed_at IS NULL AND {_ATTEMPTS} >= :max_attempts
            AND excluded.next_attempt_at IS NOT NULL THEN 'exhausted' ELSE excluded.status END,
        next_attempt_at = CASE WHEN excluded.next_attempt_at IS NOT NULL THEN greatest(excluded.retry_after,
            clock_timestamp() + interval '1 second' * least(:max_s,
                :first_s * (1 + random() / 10) * power(2, least({_ATTEMPTS} - 1, 40)))) END,
        retry_after = excluded.retry_after, connector_version_seen = excluded.connector_version_seen,
        connector_version_required = excluded.connector_version_required,
        detail_locator = coalesce(excluded.detail_locator, held.detail_locator), last_error = excluded.last_error
    WHERE held.status <> 'waived'
    RETURNING stream, scope_hash, opened_at = now() AS opened
""").bindparams(bindparam("misses", type_=JSONB))
_CLOSE = text("""
    UPDATE gaps SET status = :status, closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE id = ANY(:ids) AND connection_id = :connection_id AND closed_at IS NULL
    RETURNING stream
""").bindparams(bindparam("ids", type_=ARRAY(BIGINT)))
# That a resource was read says nothing of a record that was refused: only the record itself proves it.
_CLOSE_READ = text("""
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND scope_hash = ANY(:hashes)
        AND reason <> 'record_rejected'
    RETURNING stream
""").bindparams(bindparam("hashes", type_=ARRAY(BYTEA)))
# A refused record waits for a version and is never given up: saying so lets a small index answer.
# What the run has said itself to be missing stays so: a record of the same name may only be what is left of it.
_CLOSE_PROVED = text("""
    UPDATE gaps SET status = :status, closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND scope_hash = ANY(:hashes)
        AND last_run_id <> :run_id
    RETURNING stream
""").bindparams(bindparam("hashes", type_=ARRAY(BYTEA)))
# A walk of the whole stream from its beginning has passed every part of it; what it missed again, it said itself.
_CLOSE_PASSED = text("""
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND last_run_id <> :run_id
        AND NOT scope ? 'resource_id' AND EXISTS (SELECT 1 FROM run_streams
            WHERE run_streams.run_id = :run_id AND run_streams.stream = :stream AND records_emitted > 0)
    RETURNING stream
""")
# A walk without a cursor that met nothing where records are held is not believed.
_CLOSE_WHOLE = text("""
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND scope_hash = :hash
        AND (NOT :from_scratch
            OR EXISTS (SELECT 1 FROM run_streams
                WHERE run_streams.run_id = :run_id AND run_streams.stream = :stream AND records_emitted > 0)
            OR NOT EXISTS (SELECT 1 FROM records
                WHERE records.connection_id = :connection_id AND records.stream = :stream AND deleted_at IS NULL))
    RETURNING stream
""")
_MISSING_IN = text("""
    SELECT stream FROM unnest(CAST(:streams AS text[])) AS stream WHERE EXISTS (
        SELECT 1 FROM gaps WHERE gaps.connection_id = :connection_id AND gaps.stream = stream.stream
            AND closed_at IS NULL)
""")


def miss(connection: Connection, claim: Claim, version: str, policy: RetryPolicy, misses: Sequence[Miss]) -> list[Miss]:
    """Open gaps, or count another attempt at those that are known. Returns those that are newly open."""
    if not misses:
        return []
    latest = {(found.stream, scope_hash(found.scope)): found for found in misses}
    times = Counter((found.stream, scope_hash(found.scope)) for found in misses)
    values = {
        "connection_id": claim.connection_id,
        "run_id": claim.run_id,
        "version": version,
        **policy._asdict(),
        "misses": [_values(found, key[1], times[key]) for key, found in latest.items()],
    }
    rows = connection.execute(_UPSERT, values).all()
    return [latest[row.stream, bytes(row.scope_hash)] for row in rows if row.opened]


def close(connection: Connection, claim: Claim, closures: Sequence[Closure]) -> list[str]:
    """Close gaps by id; returns their streams. A gap that is closed already is left alone."""
    closed: list[str] = []
    for status, absent in (("recovered", False), ("absent_upstream", True)):
        ids = [closure.gap_id for closure in closures if closure.absent == absent]
        if ids:
            values = {"ids": ids, "status": status, "run_id": claim.run_id, "connection_id": claim.connection_id}
            closed += connection.execute(_CLOSE, values).scalars()
    return closed


def close_resources(connection: Connection, claim: Claim, stream: str, keys: Iterable[str]) -> list[str]:
    """Close the open gaps about resources that were read after all; returns their streams."""
    hashes = [scope_hash(ResourceScope(resource_id=key)) for key in keys]
    if not hashes:
        return []
    return list(connection.execute(_CLOSE_READ, {"stream": stream, "hashes": hashes, **_ids(claim)}).scalars())


def close_whole_stream(connection: Connection, claim: Claim, stream: str, *, from_scratch: bool) -> list[str]:
    """Close the gap about a whole stream: the run walked it to its end, and what it found can be believed."""
    values = {"stream": stream, "hash": scope_hash(WHOLE_STREAM), "from_scratch": from_scratch}
    return list(connection.execute(_CLOSE_WHOLE, {**values, **_ids(claim)}).scalars())


def close_proved(connection: Connection, claim: Claim, stream: str, proofs: Mapping[str, bool]) -> list[str]:
    """Close the open gaps about records that came whole (False), or were said not to exist (True)."""
    closed: list[str] = []
    for status, absent in (("recovered", False), ("absent_upstream", True)):
        hashes = [scope_hash(ResourceScope(resource_id=key)) for key, gone in proofs.items() if gone == absent]
        if hashes:
            values = {"status": status, "stream": stream, "hashes": hashes}
            closed += connection.execute(_CLOSE_PROVED, {**values, **_ids(claim)}).scalars()
    return closed


def close_passed(connection: Connection, claim: Claim, stream: str) -> list[str]:
    """Close the gaps about parts of a stream that the run walked whole, from its beginning to its end."""
    return list(connection.execute(_CLOSE_PASSED, {"stream": stream, **_ids(claim)}).scalars())


def missing_in(connection: Connection, connection_id: int, streams: Iterable[str]) -> set[str]:
    """Those of the streams that have open gaps."""
    values = {"connection_id": connection_id, "streams": sorted(streams)}
    return set(connection.execute(_MISSING_IN, values).scalars())


def scope_hash(scope: Scope) -> bytes:
    """The gap's key: a digest of its canonical scope, so that a scope of any length fits an index."""
    return blake2b(scope_key(scope).encode(), digest_size=16).digest()


def _ids(claim: Claim) -> dict[str, int]:
    return {"connection_id": claim.connection_id, "run_id": claim.run_id}


def _values(found: Miss, hashed: bytes, times: int) -> dict[str, Any]:
    return {
        "stream": found.stream,
        "parent_stream": found.parent_stream,
        "scope": json.loads(storable_json(json.loads(scope_key(found.scope)))),
        "scope_hash": hashed.hex(),
        "reason": found.reason,
        "recovery_kind": found.recovery_kind,
        "times": times,
        "timed": found.recovery_kind == "retry_by_runtime" and not found.waits_for_owner,
        "retry_after": None if found.retry_after is None else found.retry_after.isoformat(),
        "version_required": found.connector_version_required,
        "locator": None if found.detail_locator is None else json.loads(storable_json(found.detail_locator)),
        "last_error": storable(found.last_error),
    }
