"""Closing gaps by proof. A gap is never deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, TextClause, text

from pdpp_worker.protocol.scope import WHOLE_STREAM, scope_hash
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.effects import Closing, GapClosure, GapKey, KeyFetched, KeyProven
from pdpp_worker.store.gaps.attempts import CLOSED

# Under the lease, the version that a run belongs to is the one that works it.
_CLOSED_BY = "closed_by_version = (SELECT connector_version FROM runs WHERE runs.id = :run_id)"
_RETURNED = f"""
    RETURNING gaps.id, stream, attempts, tried_run_id, status, next_attempt_at
    ), {CLOSED}
    SELECT stream FROM changed
"""
_CLOSE = f"""
    WITH changed AS (
    UPDATE gaps SET status = :status, closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL,
        {_CLOSED_BY}
    FROM unnest(CAST(:streams AS text[]), CAST(:hashes AS bytea[])) AS said (said_stream, said_hash)
    WHERE connection_id = :connection_id AND stream = said_stream AND scope_hash = said_hash AND closed_at IS NULL
        AND {{proved}}
    {_RETURNED}
"""
_PROVED: Mapping[type[Closing], TextClause] = {
    kind: text(_CLOSE.format(proved=proved))
    for kind, proved in (
        # Never close a gap whose record was refused in this run, by another record of the item.
        (GapClosure, "(reason <> 'record_rejected' OR last_run_id <> :run_id)"),
        # A read resource says nothing of a record that was refused: only the record itself proves it.
        (KeyFetched, "reason <> 'record_rejected'"),
        # Never close a gap that this run reported: its record may be all that is left of the item.
        (KeyProven, "last_run_id <> :run_id"),
    )
}
# A walk of the whole stream from its beginning has passed every part of it; what it missed again, it said itself.
_CLOSE_PASSED = text(f"""
    WITH changed AS (
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL,
        {_CLOSED_BY}
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND last_run_id <> :run_id
        AND NOT scope ? 'resource_id' AND EXISTS (SELECT 1 FROM run_streams
            WHERE run_streams.run_id = :run_id AND run_streams.stream = :stream AND records_emitted > 0)
    {_RETURNED}
""")
# A walk without a cursor that met nothing where records are held, and came to no checkpoint, is not believed.
_CLOSE_WHOLE = text(f"""
    WITH changed AS (
    UPDATE gaps SET status = 'recovered', closed_at = clock_timestamp(), last_run_id = :run_id, leased_by_run_id = NULL,
        {_CLOSED_BY}
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL AND scope_hash = :hash
        AND (NOT :from_scratch
            OR EXISTS (SELECT 1 FROM run_streams
                WHERE run_streams.run_id = :run_id AND run_streams.stream = :stream
                    AND (records_emitted > 0 OR checkpoints_committed > 0))
            OR NOT EXISTS (SELECT 1 FROM records
                WHERE records.connection_id = :connection_id AND records.stream = :stream AND deleted_at IS NULL))
    {_RETURNED}
""")
_MISSING_IN = text("""
    SELECT stream FROM unnest(CAST(:streams AS text[])) AS stream WHERE EXISTS (
        SELECT 1 FROM gaps WHERE gaps.connection_id = :connection_id AND gaps.stream = stream.stream
            AND closed_at IS NULL)
""")


def close(connection: Connection, claim: Claim, closes: Mapping[GapKey, Closing]) -> list[str]:
    """Closing gaps that are proved; returns their streams. One that is closed already is left alone."""
    kinds: dict[tuple[type[Closing], bool], list[GapKey]] = {}
    for place, close in closes.items():
        absent = not isinstance(close, KeyFetched) and close.absent
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
    """Closing the gap about a whole stream: the run walked it to its end, and what it found can be believed."""
    values = {"stream": stream, "hash": scope_hash(WHOLE_STREAM), "from_scratch": from_scratch}
    return list(connection.execute(_CLOSE_WHOLE, {**values, **_ids(claim)}).scalars())


def close_passed(connection: Connection, claim: Claim, stream: str) -> list[str]:
    """Closing the gaps about parts of a stream that the run walked whole, from its beginning to its end."""
    return list(connection.execute(_CLOSE_PASSED, {"stream": stream, **_ids(claim)}).scalars())


def missing_in(connection: Connection, connection_id: int, streams: Iterable[str]) -> set[str]:
    """The streams, among these, that have open gaps."""
    values = {"connection_id": connection_id, "streams": sorted(streams)}
    return set(connection.execute(_MISSING_IN, values).scalars())


def _ids(claim: Claim) -> dict[str, int]:
    return {"connection_id": claim.connection_id, "run_id": claim.run_id}
