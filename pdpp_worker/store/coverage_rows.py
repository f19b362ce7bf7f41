"""Rows of the table `coverage`: the latest record's time, and the periods that hold all there was but for known gaps.

Adjacent and overlapping periods merge as they are written: that is what a multirange does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from pdpp_worker.store import events, leases
from pdpp_worker.store.batch import Claim, Period
from pdpp_worker.store.gaps import structural_gaps

_SEEN = text("""
    INSERT INTO coverage AS held (connection_id, stream, max_seen)
    VALUES (:connection_id, :stream, to_timestamp(:moment))
    ON CONFLICT (connection_id, stream) DO UPDATE SET max_seen = greatest(held.max_seen, excluded.max_seen)
""")
# The future is not walked: an open end is the time at which the period was said to be walked.
_COVERED = text("""
    INSERT INTO coverage AS held (connection_id, stream, intervals)
    VALUES (:connection_id, :stream,
        tstzmultirange(tstzrange(CAST(:since AS timestamptz), greatest(CAST(:since AS timestamptz),
            coalesce(CAST(:until AS timestamptz), clock_timestamp())))))
    ON CONFLICT (connection_id, stream) DO UPDATE SET intervals = held.intervals + excluded.intervals
""")
# A walk from a cursor covers the time since the walk before it; without one, nothing is known of the time before.
_WALKED = text("""
    INSERT INTO coverage AS held (connection_id, stream, intervals, last_walk_run_id, last_walk_at,
        last_walk_considered)
    SELECT :connection_id, given.stream,
        CASE WHEN given.stream = ANY(CAST(:from_scratch AS text[])) THEN tstzmultirange(tstzrange(NULL, started_at))
            ELSE '{}' END,
        id, clock_timestamp(), given.considered
    FROM runs, unnest(CAST(:streams AS text[]), CAST(:considered AS bigint[])) AS given (stream, considered)
    WHERE id = :run_id
    ON CONFLICT (connection_id, stream) DO UPDATE SET
        intervals = CASE WHEN held.stream = ANY(CAST(:bounded AS text[])) OR upper_inf(held.intervals)
                OR (isempty(held.intervals) AND isempty(excluded.intervals)) THEN held.intervals
            ELSE held.intervals + tstzmultirange(tstzrange(
                CASE WHEN isempty(excluded.intervals) THEN upper(held.intervals) END,
                greatest(upper(held.intervals), (SELECT started_at FROM runs WHERE id = :run_id)))) END,
        last_walk_run_id = excluded.last_walk_run_id, last_walk_at = excluded.last_walk_at,
        last_walk_considered = excluded.last_walk_considered
""")
_DECLARE = text("""
    INSERT INTO coverage AS held (connection_id, stream, absent_reason)
    VALUES (:connection_id, :stream, :absent_reason)
    ON CONFLICT (connection_id, stream) DO UPDATE SET absent_reason = excluded.absent_reason
    WHERE held.absent_reason IS DISTINCT FROM excluded.absent_reason
""")


def declare(connection: Connection, connection_id: int, absence: Mapping[str, str | None]) -> int:
    """Keep the rows of these streams, with the reason for which nobody can ever have them (None: they can be had).

    Gaps of what cannot be had are closed, and open again once it can; returns how many were closed.
    """
    leases.lock(connection, [connection_id])
    moved = 0
    for stream, reason in absence.items():
        change = structural_gaps.reopen if reason is None else structural_gaps.close
        changed = change(connection, connection_id, stream)
        values = {"connection_id": connection_id, "stream": stream, "absent_reason": reason}
        connection.execute(_DECLARE, values)
        if changed:
            event = "gaps_reopened" if reason is None else "gaps_moved"
            data = {"count": changed, **({"why": reason} if reason else {})}
            events.append(connection, connection_id, None, [(event, stream, data)])
        moved += changed if reason is not None else 0
    return moved


def note(
    connection: Connection, connection_id: int, seen: Mapping[str, float], covered: Sequence[tuple[str, Period]]
) -> None:
    """Note the time of the latest record of each stream, Unix s, and periods walked whole."""
    for stream, moment in seen.items():
        connection.execute(_SEEN, {"connection_id": connection_id, "stream": stream, "moment": moment})
    for stream, period in covered:
        values = {"connection_id": connection_id, "stream": stream, "since": period.since, "until": period.until}
        connection.execute(_COVERED, values)


class FullPass(NamedTuple):
    """A stream was walked to its end: whether without a cursor, and whether older items may exist beyond it."""

    from_scratch: bool
    bounded: bool
    """The stream shows only a part of itself (a session, a period), so that a walk says nothing of the rest."""


def walked(connection: Connection, claim: Claim, passes: Sequence[tuple[str, int, FullPass]]) -> None:
    """A run walked streams to their end: all that there was when it began is held, or in a gap.

    `passes`: stream, how many items were considered in it, and how it was walked.
    """
    if passes:
        values = {
            "connection_id": claim.connection_id,
            "run_id": claim.run_id,
            "streams": [stream for stream, _, _ in passes],
            "considered": [considered for _, considered, _ in passes],
            "from_scratch": [stream for stream, _, one in passes if one.from_scratch and not one.bounded],
            "bounded": [stream for stream, _, one in passes if one.bounded],
        }
        connection.execute(_WALKED, values)
