"""The one transaction of a batch: records, the checkpoints that follow them, gaps, stream counts, events.

A crash at any instant leaves all of it or none of it, and a worker that lost its lease writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.exc import DBAPIError

from pdpp_worker.store import connections, coverage_rows, doubts, events, leases, runs, source_members
from pdpp_worker.store.batch import Batch, Claim, RecordRow, Rejection, Spent, Walk
from pdpp_worker.store.children import Children, delete_with, restore_with
from pdpp_worker.store.effects import Effect, GapReport, Row, without_outdated
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import apply
from pdpp_worker.store.gaps.retry_policy import RetryPolicy
from pdpp_worker.store.novelty import Novelty
from pdpp_worker.store.precedence import Precedence
from pdpp_worker.store.records import Written, write_records
from pdpp_worker.store.values import storable
from pdpp_worker.store.versions import Fates

NOTHING = Spent()
NO_CHILDREN: Children = {}
NO_WALK = Walk()


class Committed(NamedTuple):
    """The result of a batch."""

    written: dict[str, Written]
    gaps_opened: int
    gaps_closed: int
    cancel_requested: bool
    outdated: frozenset[Row]
    """Records that are older than what is held."""


class Ending(Protocol):
    """Ends the run in the transaction of its last batch, where that needs no look at what is missing."""

    def begin(self, connection: Connection, batch: Batch, *, cancelled: bool) -> bool:
        """Lock and read what the end depends on; returns whether all of the source was seen.

        The transaction may be begun anew.
        """

    def end(self, connection: Connection) -> None:
        """Write the end, after the batch, if the run ends with it."""

    def forget(self) -> None:
        """Note that the transaction failed: the run has not ended."""


_UNSTORABLE = ("22", "23", "54")
"""SQLSTATE classes: data that are wrong, that break a constraint, that are too large."""
# The subquery reads the cursor that was held before.
_CHECKPOINT = text("""
    INSERT INTO checkpoints AS held (connection_id, stream, cursor, run_id, covers)
    VALUES (:connection_id, :stream, :cursor, :run_id, CAST(:walked AS text[]))
    ON CONFLICT (connection_id, stream) DO UPDATE SET
        cursor = excluded.cursor, run_id = excluded.run_id, updated_at = clock_timestamp(),
        covers = CASE WHEN :afresh OR held.covers IS NULL THEN excluded.covers
            ELSE ARRAY(SELECT unnest(held.covers) INTERSECT SELECT unnest(excluded.covers)) END
    RETURNING cursor IS DISTINCT FROM (SELECT before.cursor FROM checkpoints AS before
        WHERE before.connection_id = held.connection_id AND before.stream = held.stream) AS moved
""")
# A walk from the beginning that closes the gap of an item and is cut before its details, and before a checkpoint of its
# own, would leave them to nobody: the cursor of before has passed them. So that one speaks for nothing any more.
_DISOWN = text("""
    UPDATE checkpoints SET covers = '{}'
    WHERE connection_id = :connection_id AND run_id <> :run_id AND stream = ANY(CAST(:keepers AS text[]))
""")
_STREAM_COUNTS = text("""
    INSERT INTO run_streams AS held (run_id, stream, records_emitted, records_flushed, records_unchanged,
        records_rejected, checkpoints_staged, checkpoints_committed, progress_count, progress_total)
    VALUES (:run_id, :stream, :emitted, :flushed, :unchanged, :rejected, :staged, :committed,
        :progress_count, :progress_total)
    ON CONFLICT (run_id, stream) DO UPDATE SET
        records_emitted = held.records_emitted + excluded.records_emitted,
        records_flushed = held.records_flushed + excluded.records_flushed,
        records_unchanged = held.records_unchanged + excluded.records_unchanged,
        records_rejected = held.records_rejected + excluded.records_rejected,
        checkpoints_staged = greatest(held.checkpoints_staged, excluded.checkpoints_staged),
        checkpoints_committed = CASE WHEN excluded.checkpoints_staged = 1
            THEN excluded.checkpoints_committed ELSE held.checkpoints_committed END,
        progress_count = coalesce(excluded.progress_count, held.progress_count),
        progress_total = coalesce(excluded.progress_total, held.progress_total)
""")
# One content is kept once: the lease is locked, so nobody else adds the same one.
_REJECT = text("""
    WITH given AS (
        SELECT DISTINCT ON (stream, key, sha256(raw)) stream, key, error, raw, place
        FROM unnest(:streams, :keys, :errors, :raws) WITH ORDINALITY AS given (stream, key, error, raw, place)
    ), known AS (
        UPDATE rejections AS held SET run_id = :run_id, error = given.error FROM given
        WHERE held.connection_id = :connection_id AND held.stream = given.stream
            AND sha256(held.raw) = sha256(given.raw) AND held.key IS NOT DISTINCT FROM given.key
        RETURNING place
    )
    INSERT INTO rejections (connection_id, run_id, stream, key, error, raw)
    SELECT :connection_id, :run_id, stream, key, error, raw FROM given
    WHERE place NOT IN (SELECT place FROM known) ORDER BY place
""").bindparams(
    bindparam("streams", type_=ARRAY(Text)),
    bindparam("keys", type_=ARRAY(Text)),
    bindparam("errors", type_=ARRAY(Text)),
    bindparam("raws", type_=ARRAY(BYTEA)),
)
_COOL_DOWN = text("""
    UPDATE connections SET cooldown_until = greatest(cooldown_until,
        least(:until, clock_timestamp() + interval '1 day')) WHERE id = :id
""")


def commit_batch(
    db: Database,
    claim: Claim,
    batch: Batch,
    *,
    version: str,
    policy: RetryPolicy,
    spent: Spent = NOTHING,
    children: Children = NO_CHILDREN,
    walk: Walk = NO_WALK,
    versions: int = 0,
    ending: Ending | None = None,
    precedence: Precedence | None = None,
    novelty: Novelty | None = None,
) -> Committed:
    """Write a batch whole or not at all; its checkpoints speak for the streams of the `walk`. `children` says which
    deletions reach further. Of each record that changes, so many `versions` are kept. `ending`: of the last batch.
    `precedence`: over a thread that makes the next one. `novelty`: of the slice.

    Raises:
        LeaseLostError: another worker holds the connection; nothing was written.
    """

    def write(connection: Connection) -> Committed:
        cancel = leases.renew(connection, claim)
        is_whole = ending is not None and ending.begin(connection, batch, cancelled=cancel)
        written, fates = dict[str, Written](), dict[str, Fates]()
        ids = claim.connection_id, claim.run_id
        for stream, rows in batch.records.items():
            written[stream] = write_records(connection, *ids, stream, rows, fates, versions, novelty)
        _carry_on(connection, claim, fates, children)
        _note_doubts(connection, claim, batch.records, fates)
        _write_rejections(connection, claim, batch.rejections)
        outdated = frozenset(Row(stream, at) for stream, one in fates.items() for at in one.outdated)
        effects = _judged(connection, claim, batch.effects)
        opened, closed = apply.apply(connection, claim, version, policy, without_outdated(effects, outdated))
        _disown_cursors(connection, claim, walk, closed)
        moved = _write_checkpoints(connection, claim, walk, batch.checkpoints)
        source_members.replace_parts(connection, claim, version, batch.inventories, is_whole=is_whole)
        _add_counts(connection, claim, batch, written)
        coverage_rows.note(connection, claim.connection_id, batch.seen, batch.covered)
        if batch.refused:
            runs.count_refused(connection, claim.run_id, batch.refused)
        if batch.cooldown_until is not None:
            connection.execute(_COOL_DOWN, {"id": claim.connection_id, "until": batch.cooldown_until})
        alive = bool(opened or closed or moved or any(one.flushed for one in written.values()))
        runs.note_progress(connection, claim.run_id, spent, alive=alive, touched=alive or _is_touched(batch, spent))
        events.append(connection, *ids, _events(batch, opened, closed))
        if ending is not None:
            ending.end(connection)
        return Committed(written, len(opened), len(closed), cancel, outdated)

    return db.transact(write if precedence is None else precedence.of(write))


def _is_touched(batch: Batch, spent: Spent) -> bool:
    """Whether anything was asked for, or came."""
    return spent.requests > 0 or bool(batch.tallies)


def why_unstorable(error: Exception) -> str | None:
    """The reason for which the database refuses the content of a batch; None: it was refused for something else."""
    if isinstance(error, DBAPIError):
        code = str(getattr(error.orig, "sqlstate", None))
        return type(error.orig).__name__ if code.startswith(_UNSTORABLE) else None
    return type(error).__name__ if isinstance(error, ValueError) else None


def _carry_on(connection: Connection, claim: Claim, fates: Mapping[str, Fates], children: Children) -> None:
    """Carry deletions and returns of records to those that belong to them."""
    ids = claim.connection_id, claim.run_id
    for stream, one in fates.items():
        restore_with(connection, *ids, stream, one.returned)
    for stream, one in fates.items():
        delete_with(connection, *ids, stream, one.deleted, children)


def _note_doubts(
    connection: Connection, claim: Claim, records: Mapping[str, list[RecordRow]], fates: Mapping[str, Fates]
) -> None:
    """Clear the doubts about records that were met; note those about records that a listing did not hold."""
    doubted = doubts.doubted_streams(connection, claim.connection_id) if records else set()
    for stream, rows in records.items():
        if stream in doubted and (met := {row.key for row in rows if not row.absent}):
            doubts.clear(connection, claim.connection_id, stream, met)
        if fates[stream].absent:
            doubts.note(connection, claim, stream, fates[stream].absent)


def _disown_cursors(connection: Connection, claim: Claim, walk: Walk, closed: Collection[str]) -> None:
    """Let go of the cursors that have passed the details of items whose gaps a walk from the beginning closed."""
    parents = walk.keepers_of_parents.keys() & set(closed)
    keepers = walk.afresh.intersection(keeper for one in parents for keeper in walk.keepers_of_parents[one])
    if keepers:
        values = {"connection_id": claim.connection_id, "run_id": claim.run_id, "keepers": sorted(keepers)}
        connection.execute(_DISOWN, values)


def _write_checkpoints(connection: Connection, claim: Claim, walk: Walk, cursors: Mapping[str, str]) -> bool:
    """Write the cursors; whether any of them is another than before."""
    place = {"connection_id": claim.connection_id, "run_id": claim.run_id, "walked": list(walk.streams) or None}
    moved = [
        connection.execute(
            _CHECKPOINT, {**place, "stream": stream, "cursor": cursor, "afresh": stream in walk.afresh}
        ).scalar_one()
        for stream, cursor in cursors.items()
    ]
    return any(moved)


def _judged(connection: Connection, claim: Claim, effects: Sequence[Effect]) -> Sequence[Effect]:
    """The effects, in which no gap waits for an owner who has replaced the credentials since."""
    if not any(isinstance(one, GapReport) and one.waits_for_owner for one in effects):
        return effects
    if connections.credentials_version(connection, claim.connection_id) == claim.credentials_version:
        return effects
    return [replace(one, waits_for_owner=False) if isinstance(one, GapReport) else one for one in effects]


def _write_rejections(connection: Connection, claim: Claim, rejected: list[Rejection]) -> None:
    if rejected:
        values = {
            "connection_id": claim.connection_id,
            "run_id": claim.run_id,
            "streams": [one.stream for one in rejected],
            "keys": [one.key for one in rejected],
            "errors": [storable(one.error) for one in rejected],
            "raws": [one.raw for one in rejected],
        }
        connection.execute(_REJECT, values)


def _add_counts(connection: Connection, claim: Claim, batch: Batch, written: dict[str, Written]) -> None:
    refused = Counter(one.stream for one in batch.rejections)
    rows: list[dict[str, Any]] = []
    for stream, tally in batch.tallies.items():
        flushed, unchanged = written.get(stream, Written(0, 0))
        rows.append(
            {
                "run_id": claim.run_id,
                "stream": stream,
                "emitted": tally.emitted,
                "flushed": flushed,
                "unchanged": unchanged,
                "rejected": refused[stream],
                "staged": int(tally.state_staged),
                "committed": int(tally.state_committed),
                "progress_count": tally.progress_count,
                "progress_total": tally.progress_total,
            }
        )
    if rows:
        connection.execute(_STREAM_COUNTS, rows)


def _events(batch: Batch, opened: list[Any], closed: list[str]) -> list[events.Event]:
    happened = list(batch.events)
    for name, count in batch.refused.items():
        happened.append(("messages_refused", None, {"message": name, "count": count}))
    for (stream, reason), count in Counter((one.stream, one.reason) for one in opened).items():
        happened.append(("gaps_opened", stream, {"reason": reason, "count": count}))
    for stream, count in Counter(closed).items():
        happened.append(("gaps_closed", stream, {"count": count}))
    happened += [
        ("checkpoint_committed", stream, {"bytes": len(cursor)}) for stream, cursor in batch.checkpoints.items()
    ]
    return happened
