"""Gaps: what is missing, and why. A gap is opened, tried and closed, never deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.protocol.scope import WHOLE_STREAM, scope_hash, scope_json
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.effects import Close, Closure, Effect, Miss, Place, Proof, Read, last_words
from pdpp_worker.store.values import encode, storable


class RetryPolicy(NamedTuple):
    """When a gap is tried again: seconds, doubling with each attempt, and after how many attempts it is given up."""

    first_s: float
    max_s: float
    max_attempts: int


# A run tries a gap once, however often it says so. One that a run closes and misses again is as if it had only missed
# it; one that an earlier run closed is open anew.
_IS_ANEW = "(held.closed_at IS NOT NULL AND held.last_run_id <> excluded.last_run_id)"
_ATTEMPTS = f"""(CASE WHEN {_IS_ANEW} THEN 1
    WHEN held.tried_run_id = excluded.tried_run_id THEN held.attempts ELSE held.attempts + 1 END)"""
# What passes with time says nothing of whether this version can read what an earlier one could not: it goes on trying.
_IS_TRIED = f"""(NOT {_IS_ANEW} AND held.recovery_kind = 'retry_on_connector_upgrade'
    AND excluded.recovery_kind = 'retry_by_runtime' AND excluded.next_attempt_at IS NOT NULL
    AND held.connector_version_seen <> excluded.connector_version_seen)"""
# However long a pause the provider wants, it is asked again after a day.
# A closed gap that is missed again is the same row, open again, its attempts counted anew. One that the owner waived
# stays waived; a whole stream only for that reason, and not for one that asks for the owner, which is new each time.
_UPSERT = text(f"""
    INSERT INTO gaps AS held (connection_id, stream, parent_stream, scope, exact_scope, scope_hash, reason,
        recovery_kind, first_run_id, last_run_id, tried_run_id, status, attempts, opened_at, next_attempt_at,
        retry_after, connector_version_seen, connector_version_required, detail_locator, exact_locator,
        record_key, last_error)
    SELECT :connection_id, stream, parent_stream, scope, exact_scope, decode(scope_hash, 'hex'), reason, recovery_kind,
        :run_id, :run_id, :run_id, CASE WHEN timed AND :max_attempts <= 1 THEN 'exhausted' ELSE 'open' END, 1, now(),
        CASE WHEN timed THEN greatest(pause_until, clock_timestamp() + interval '1 second'
            * least(:max_s, :first_s * (1 + random() / 10))) END,
        pause_until, :version, version_required, locator, exact_locator, record_key, last_error
    FROM jsonb_to_recordset(:misses) AS missed (stream text, parent_stream text, scope jsonb, exact_scope text,
        scope_hash text, reason text, recovery_kind text, timed bool, retry_after timestamptz, version_required text,
        locator jsonb, exact_locator text, record_key jsonb, last_error text),
        LATERAL (SELECT CASE WHEN retry_after < clock_timestamp() + interval '1 day' THEN retry_after
            WHEN retry_after IS NOT NULL THEN clock_timestamp() + interval '1 day' END AS pause_until) AS longest
    ON CONFLICT ON CONSTRAINT uq_gaps_scope DO UPDATE SET
        parent_stream = excluded.parent_stream, scope = excluded.scope, exact_scope = excluded.exact_scope,
        reason = CASE WHEN {_IS_TRIED} THEN held.reason ELSE excluded.reason END,
        recovery_kind = CASE WHEN {_IS_TRIED} THEN held.recovery_kind ELSE excluded.recovery_kind END,
        last_run_id = excluded.last_run_id, leased_by_run_id = NULL,
        tried_run_id = excluded.tried_run_id, attempts = {_ATTEMPTS},
        opened_at = CASE WHEN {_IS_ANEW} THEN now() ELSE held.opened_at END,
        first_run_id = CASE WHEN {_IS_ANEW} THEN excluded.first_run_id ELSE held.first_run_id END,
        closed_at = NULL, structural = false,
        opened_for_version = CASE WHEN NOT {_IS_ANEW} THEN held.opened_for_version END,
        status = CASE WHEN {_ATTEMPTS} >= :max_attempts AND excluded.next_attempt_at IS NOT NULL AND NOT {_IS_TRIED}
            THEN 'exhausted' ELSE excluded.status END,
        next_attempt_at = CASE WHEN excluded.next_attempt_at IS NOT NULL THEN greatest(excluded.retry_after,
            clock_timestamp() + interval '1 second' * least(:max_s,
                :first_s * (1 + random() / 10) * power(2, least({_ATTEMPTS} - 1, 40)))) END,
        retry_after = excluded.retry_after,
        connector_version_seen = CASE WHEN {_IS_TRIED}
            THEN held.connector_version_seen ELSE excluded.connector_version_seen END,
        connector_version_required = CASE WHEN {_IS_TRIED}
            THEN held.connector_version_required ELSE excluded.connector_version_required END,
        detail_locator = coalesce(excluded.detail_locator, held.detail_locator),
        exact_locator = CASE WHEN excluded.detail_locator IS NULL
            THEN held.exact_locator ELSE excluded.exact_locator END,
        record_key = coalesce(excluded.record_key, held.record_key), last_error = excluded.last_error
    WHERE held.status <> 'waived' OR (held.last_run_id <> excluded.last_run_id
        AND held.scope = '{{"partition": {{}}}}'
        AND (held.reason <> excluded.reason OR (excluded.recovery_kind = 'retry_by_runtime'
            AND excluded.next_attempt_at IS NULL)))
    RETURNING stream, scope_hash, opened_at = now() AS opened
""").bindparams(bindparam("misses", type_=JSONB))
_CLOSE = """
    UPDATE gaps SET status = :status, closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    FROM unnest(CAST(:streams AS text[]), CAST(:hashes AS bytea[])) AS said (said_stream, said_hash)
    WHERE connection_id = :connection_id AND stream = said_stream AND scope_hash = said_hash AND closed_at IS NULL
        AND {proved}
    RETURNING stream
"""
_PROVED: Mapping[type[Close], TextClause] = {
    kind: text(_CLOSE.format(proved=proved))
    for kind, proved in (
        # Whatever else shows that the item was read, the record of it was refused in this run.
        (Closure, "(reason <> 'record_rejected' OR last_run_id <> :run_id)"),
        # That a resource was read says nothing of a record that was refused: only the record itself proves it.
        (Read, "reason <> 'record_rejected'"),
        # What the run has said itself to be missing stays so: a record of the same name may be what is left of it.
        (Proof, "last_run_id <> :run_id"),
    )
}
# A walk of the whole stream from its beginning has passed every part of it; what it missed again, it said itself.
_CLOSE_PASSED = text("""
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND last_run_id <> :run_id
        AND NOT scope ? 'resource_id' AND EXISTS (SELECT 1 FROM run_streams
            WHERE run_streams.run_id = :run_id AND run_streams.stream = :stream AND records_emitted > 0)
    RETURNING stream
""")
# A walk without a cursor that met nothing where records are held, and came to no checkpoint, is not believed.
_CLOSE_WHOLE = text("""
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND scope_hash = :hash
        AND (NOT :from_scratch
            OR EXISTS (SELECT 1 FROM run_streams
                WHERE run_streams.run_id = :run_id AND run_streams.stream = :stream
                    AND (records_emitted > 0 OR checkpoints_committed > 0))
            OR NOT EXISTS (SELECT 1 FROM records
                WHERE records.connection_id = :connection_id AND records.stream = :stream AND deleted_at IS NULL))
    RETURNING stream
""")
_MISSING_IN = text("""
    SELECT stream FROM unnest(CAST(:streams AS text[])) AS stream WHERE EXISTS (
        SELECT 1 FROM gaps WHERE gaps.connection_id = :connection_id AND gaps.stream = stream.stream
            AND closed_at IS NULL)
""")


def apply(
    connection: Connection, claim: Claim, version: str, policy: RetryPolicy, effects: Iterable[Effect]
) -> tuple[list[Miss], list[str]]:
    """Apply what a batch says of gaps, in its order; returns the misses that are newly open, and the streams of gaps
    that were closed.
    """
    words = last_words(effects)
    opened: list[Miss] = []
    misses = {place: word.misses for place, word in words.items() if word.misses}
    while misses:
        opened += _open(connection, claim, version, policy, {place: left[0] for place, left in misses.items()})
        misses = {place: left[1:] for place, left in misses.items() if left[1:]}
    closes = {place: word.closes for place, word in words.items() if word.closes}
    closed: list[str] = []
    while closes:
        closed += _close(connection, claim, {place: left[0] for place, left in closes.items()})
        closes = {place: left[1:] for place, left in closes.items() if left[1:]}
    return opened, closed


def _open(
    connection: Connection, claim: Claim, version: str, policy: RetryPolicy, misses: Mapping[Place, Miss]
) -> list[Miss]:
    """Open gaps, or count another attempt at those that are known; returns those that are newly open."""
    if not misses:
        return []
    values = {
        "version": version,
        **_ids(claim),
        **policy._asdict(),
        "misses": [_values(found, place[1]) for place, found in misses.items()],
    }
    rows = connection.execute(_UPSERT, values).all()
    return [misses[row.stream, bytes(row.scope_hash)] for row in rows if row.opened]


def _close(connection: Connection, claim: Claim, closes: Mapping[Place, Close]) -> list[str]:
    """Close gaps that are proved; returns their streams. One that is closed already is left alone."""
    kinds: dict[tuple[type[Close], bool], list[Place]] = {}
    for place, close in closes.items():
        absent = not isinstance(close, Read) and close.absent
        kinds.setdefault((type(close), absent), []).append(place)
    closed: list[str] = []
    for (kind, absent), places in kinds.items():
        values = {
            "status": "absent_upstream" if absent else "recovered",
            "streams": [stream for stream, _ in places],
            "hashes": [hashed for _, hashed in places],
        }
        closed += connection.execute(_PROVED[kind], {**values, **_ids(claim)}).scalars()
    return closed


def close_whole_stream(connection: Connection, claim: Claim, stream: str, *, from_scratch: bool) -> list[str]:
    """Close the gap about a whole stream: the run walked it to its end, and what it found can be believed."""
    values = {"stream": stream, "hash": scope_hash(WHOLE_STREAM), "from_scratch": from_scratch}
    return list(connection.execute(_CLOSE_WHOLE, {**values, **_ids(claim)}).scalars())


def close_passed(connection: Connection, claim: Claim, stream: str) -> list[str]:
    """Close the gaps about parts of a stream that the run walked whole, from its beginning to its end."""
    return list(connection.execute(_CLOSE_PASSED, {"stream": stream, **_ids(claim)}).scalars())


def missing_in(connection: Connection, connection_id: int, streams: Iterable[str]) -> set[str]:
    """Those of the streams that have open gaps."""
    values = {"connection_id": connection_id, "streams": sorted(streams)}
    return set(connection.execute(_MISSING_IN, values).scalars())


def _ids(claim: Claim) -> dict[str, int]:
    return {"connection_id": claim.connection_id, "run_id": claim.run_id}


def _values(found: Miss, hashed: bytes) -> dict[str, Any]:
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
        "retry_after": None if found.retry_after is None else found.retry_after.isoformat(),
        "version_required": found.connector_version_required,
        "locator": None if locator is None else json.loads(locator.text),
        "exact_locator": None if locator is None or locator.raw is None else locator.raw.decode(),
        "record_key": found.record_key,
        "last_error": storable(found.last_error),
    }
