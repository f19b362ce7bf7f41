"""Deletions that rest on absence: a doubt until a walk of another run agrees, and then the owner's if they are many.

A record of the key in between clears its doubt. A record that is reported as missing is never deleted: being unreadable
is no absence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from pdpp_worker.protocol.keys import names_of
from pdpp_worker.protocol.scope import resource_hash
from pdpp_worker.store import events
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.brake import waits_for_owner
from pdpp_worker.store.children import Children, delete_with

_STREAMS = text("SELECT DISTINCT stream FROM deletion_doubts WHERE connection_id = :connection_id")
_NOTE = text("""
    INSERT INTO deletion_doubts AS held (connection_id, stream, key, first_run_id, last_run_id, said_at)
    SELECT :connection_id, :stream, key, :run_id, :run_id, at
    FROM unnest(CAST(:keys AS text[]), CAST(:moments AS timestamptz[])) AS said (key, at) ORDER BY key
    ON CONFLICT (connection_id, stream, key) DO UPDATE SET last_run_id = excluded.last_run_id,
        said_at = excluded.said_at
""")
_CLEAR = text("""
    DELETE FROM deletion_doubts
    WHERE connection_id = :connection_id AND stream = :stream AND key = ANY(CAST(:keys AS text[]))
""")
_AGREED = text("""
    SELECT key, state FROM deletion_doubts
    WHERE connection_id = :connection_id AND stream = :stream
        AND (state = 'waiting' OR (state = 'doubted' AND first_run_id <> last_run_id))
""")
# A walk that missed more than single items of a stream has not seen all of its listing.
_MISSED_A_PART = text("""
    SELECT EXISTS (SELECT 1 FROM gaps WHERE connection_id = :connection_id AND stream = :stream
        AND last_run_id = :run_id AND closed_at IS NULL AND NOT scope ? 'resource_id')
""")
_MISSING = text("""
    SELECT scope_hash FROM gaps WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL
        AND scope_hash = ANY(CAST(:hashes AS bytea[]))
""")
_HELD = text("""
    SELECT coalesce(sum(records - deleted), 0)::bigint FROM held_counts
    WHERE connection_id = :connection_id AND stream = :stream
""")
_WAIT = text("""
    UPDATE deletion_doubts SET state = 'waiting'
    WHERE connection_id = :connection_id AND stream = :stream AND state = 'doubted'
        AND key = ANY(CAST(:keys AS text[]))
""")
_DELETE = text("""
    UPDATE records SET deleted_at = said_at, emitted_at = said_at, deleted_with = NULL, last_run_id = :run_id
    FROM deletion_doubts AS doubt
    WHERE doubt.connection_id = :connection_id AND doubt.stream = :stream AND doubt.key = ANY(CAST(:keys AS text[]))
        AND records.connection_id = doubt.connection_id AND records.stream = doubt.stream
        AND records.key = doubt.key AND records.deleted_at IS NULL
    RETURNING records.key, records.deleted_at
""")


def doubted_streams(connection: Connection, connection_id: int) -> set[str]:
    """The streams of a connection of which records are in doubt."""
    return set(connection.execute(_STREAMS, {"connection_id": connection_id}).scalars())


def clear(connection: Connection, connection_id: int, stream: str, keys: Collection[str]) -> None:
    """These records were met: they are in doubt no more."""
    connection.execute(_CLEAR, {"connection_id": connection_id, "stream": stream, "keys": sorted(keys)})


def note(connection: Connection, claim: Claim, stream: str, absent: Mapping[str, datetime]) -> None:
    """These records were not in a listing that was walked whole, which is a doubt."""
    keys = sorted(absent)
    values = {"stream": stream, "keys": keys, "moments": [absent[key] for key in keys], "run_id": claim.run_id}
    connection.execute(_NOTE, {"connection_id": claim.connection_id, **values})


def settle(connection: Connection, claim: Claim, streams: Collection[str], children: Children) -> None:
    """A run walked these streams to their end: delete what two runs did not find, or leave it to the owner."""
    for stream in sorted(doubted_streams(connection, claim.connection_id).intersection(streams)):
        _settle_stream(connection, claim, stream, children)


def delete(
    connection: Connection, connection_id: int, run_id: int, stream: str, keys: Sequence[str], children: Children
) -> int:
    """Delete these records in doubt with what belongs to them; returns how many of the stream."""
    values = {"connection_id": connection_id, "run_id": run_id, "stream": stream, "keys": sorted(keys)}
    deleted = {row.key: row.deleted_at for row in connection.execute(_DELETE, values)}
    delete_with(connection, connection_id, run_id, stream, deleted, children)
    clear(connection, connection_id, stream, keys)
    return len(deleted)


def _settle_stream(connection: Connection, claim: Claim, stream: str, children: Children) -> None:
    place = {"connection_id": claim.connection_id, "stream": stream}
    if connection.execute(_MISSED_A_PART, {**place, "run_id": claim.run_id}).scalar_one():
        return
    states = {row.key: row.state for row in connection.execute(_AGREED, place)}
    keys = [key for key in _not_missing(connection, place, states) if states[key] == "doubted"]
    if not keys:
        return
    waiting = sum(state == "waiting" for state in states.values())
    held = connection.execute(_HELD, place).scalar_one()
    if waits_for_owner(len(keys) + waiting, held):
        connection.execute(_WAIT, {**place, "keys": keys})
        happened = ("deletions_wait", stream, {"count": len(keys), "held": held})
    else:
        count = delete(connection, claim.connection_id, claim.run_id, stream, keys, children)
        happened = ("records_deleted", stream, {"count": count, "ground": "absent"})
    events.append(connection, claim.connection_id, claim.run_id, [happened])


def _not_missing(connection: Connection, place: Mapping[str, object], keys: Collection[str]) -> Iterator[str]:
    """The keys about which no gap is open."""
    hashes = {key: [resource_hash(name) for name in sorted(names_of(key))] for key in keys}
    asked = [one for found in hashes.values() for one in found]
    missing = set(map(bytes, connection.execute(_MISSING, {**place, "hashes": asked}).scalars()))
    return (key for key, found in hashes.items() if missing.isdisjoint(found))
