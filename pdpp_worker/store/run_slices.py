"""Slices of runs: claimed by one worker at a time, and ended so that another can go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store import events, leases
from pdpp_worker.store.batch import Claim, Spent
from pdpp_worker.store.connections import ConnectionRow, by_id
from pdpp_worker.store.gaps.selection import GapFilter
from pdpp_worker.store.rates import HeldRate
from pdpp_worker.store.run_states import IS_ACTIVE
from pdpp_worker.store.views.reading import build


@dataclass(frozen=True)
class Slice:
    """A claimed piece of a run."""

    claim: Claim
    connection: ConnectionRow
    kind: str
    trigger: Literal["schedule", "sweep", "manual", "upgrade"]
    mode: str
    streams: list[dict[str, Any]]
    phase: Literal["recover", "walk", "drain"]
    selection: GapFilter
    carried: dict[str, Any]
    """Facts that later slices need of earlier ones: `cursors`, the checkpoint streams that had one when the run
    began; `walk`, how the walk ended; `recovery_error`, why going back
    for gaps failed."""
    budget: dict[str, Any]
    spent: Spent
    idle_before: int
    """Slices in a row before this one that died without committing anything."""
    died_before: int
    """Slices in a row before this one that did not end in good order."""
    still_before: int
    """Slices in a row before this one that ended in good order without progress."""
    cancel_requested: bool
    now: datetime
    """The database's time when the slice began."""
    version: str
    """Of the connector that the run belongs to: the one that worked it last, or for which it was queued."""


class DueSlice(NamedTuple):
    """A run that may be taken up, and what the next request of its connection depends on."""

    connection: ConnectionRow
    version: str
    """Of the connector that the run belongs to."""
    is_free: bool
    """Whether nobody holds the connection, and the owner does not ask the run to stop."""
    rate: HeldRate | None


# A doorbell may come a little early, by another clock than the database's; the worker then waits for the rest.
_IF_DUE = f"""
    SELECT * FROM runs WHERE id = :run_id AND {IS_ACTIVE}
        AND not_before <= clock_timestamp() + interval '1 second'
        AND (CAST(:turn AS integer) IS NULL OR slices = :turn)
"""
_FIND_DUE = text(_IF_DUE)
_LOOK_AT_DUE = text(f"""
    SELECT connections.*, due.connector_version AS version, rate_states.state AS rate,
        CAST(extract(epoch FROM clock_timestamp() - rate_states.updated_at) AS double precision) AS rate_age_s,
        NOT due.cancel_requested AND (expires_at IS NULL OR expires_at <= clock_timestamp()) AS is_free
    FROM ({_IF_DUE}) AS due JOIN connections ON connections.id = due.connection_id
    LEFT JOIN leases ON leases.connection_id = connections.id
    LEFT JOIN rate_states ON rate_states.connection_id = connections.id
""")
_BEGIN_SLICE = text(f"""
    UPDATE runs SET status = 'running', started_at = coalesce(runs.started_at, clock_timestamp()),
        slices = runs.slices + 1, idle_slices = runs.idle_slices + 1, died_slices = runs.died_slices + 1,
        rung_at = NULL,
        carried = CASE WHEN runs.slices > 0 THEN runs.carried
            ELSE jsonb_build_object('cursors', (SELECT coalesce(jsonb_agg(stream), '[]') FROM checkpoints
                WHERE checkpoints.connection_id = runs.connection_id)) END
    FROM ({_IF_DUE} FOR UPDATE) AS before
    WHERE runs.id = before.id
    RETURNING before.*, runs.slices AS slice, runs.carried AS carried_now, clock_timestamp() AS now
""")
# A wait with a reason is no standstill, so it counts as a touch until it is over; one without a reason does not.
_CONTINUE = text("""
    UPDATE runs SET not_before = clock_timestamp() + :pause_s * interval '1 second', rung_at = NULL,
        wait_reason = :wait_reason, idle_slices = 0, died_slices = 0, phase = :phase, carried = carried || :carried,
        still_slices = CASE WHEN :progressed THEN 0 ELSE still_slices + 1 END,
        touched_at = greatest(touched_at, CASE WHEN :progressed THEN clock_timestamp() END,
            CASE WHEN CAST(:wait_reason AS text) IS NOT NULL
                THEN clock_timestamp() + :pause_s * interval '1 second' END)
    WHERE id = :run_id
    RETURNING not_before
""").bindparams(bindparam("carried", type_=JSONB))
# Only new rows, gaps or checkpoints reset idle_slices. Otherwise a slice that always dies at one position would run for
# ever.
# A version that was installed since the run was queued is the one that is told what it could not read.
_WORKED_BY = text("""
    UPDATE runs SET connector_version = :version WHERE id = :run_id AND connector_version <> :version
""")


_DURABLE_LATER = text("SET LOCAL synchronous_commit = off")


def look_at(connection: Connection, run_id: int, turn: int | None = None) -> DueSlice | None:
    """Look at a run that may be taken up, and claim nothing; None: it is over, not due, or at another turn."""
    found = connection.execute(_LOOK_AT_DUE, {"run_id": run_id, "turn": turn}).mappings().one_or_none()
    if found is None:
        return None
    rate = None if found["rate"] is None else HeldRate(found["rate"], found["rate_age_s"])
    return DueSlice(build(ConnectionRow, found), found["version"], found["is_free"], rate)


def claim_slice(
    connection: Connection,
    run_id: int,
    holder: str,
    lease_s: float,
    turn: int | None = None,
    *,
    connection_id: int | None = None,
) -> Slice | None:
    """Take up a run: None when it is over, not due, or somebody else is at it (two doorbells for one run).

    `turn`: only if it has had so many slices. A message that was sent twice gives no second turn before the others have
    had theirs. `connection_id`: the run's, where it is known.
    """
    values = {"run_id": run_id, "turn": turn}
    if connection_id is None:
        found = connection.execute(_FIND_DUE, values).mappings().one_or_none()
        if found is None:
            return None
        connection_id = int(found["connection_id"])
    claim = leases.acquire(connection, connection_id, run_id, holder, lease_s)
    if claim is None:
        return None
    # The lease is locked before the run, as in every batch, so that the two never wait for each other.
    run = connection.execute(_BEGIN_SLICE, values).mappings().one_or_none()
    if run is None:
        leases.release(connection, claim)
        return None
    kind = "run_started" if run["slice"] == 1 else "slice_started"
    events.append(connection, claim.connection_id, run_id, [(kind, None, {"slice": run["slice"], "holder": holder})])
    return _slice(claim, by_id(connection, claim.connection_id), run)


def _slice(claim: Claim, row: ConnectionRow, run: RowMapping) -> Slice:
    return Slice(
        claim=replace(claim, credentials_version=row.credentials_version),
        connection=row,
        kind=run["kind"],
        trigger=run["trigger"],
        mode=run["mode"],
        streams=run["streams"],
        phase=run["phase"],
        selection=GapFilter(**run["selection"]),
        carried=run["carried_now"],
        budget=run["budget"],
        spent=Spent(run["spent_s"], run["spent_requests"], run["spent_items"]),
        idle_before=run["idle_slices"],
        died_before=run["died_slices"],
        still_before=run["still_slices"],
        cancel_requested=run["cancel_requested"],
        now=run["now"],
        version=run["connector_version"],
    )


def begin_slice(connection: Connection, claim: Claim, version: str) -> None:
    """Lock the lease for this transaction, and note which version of the connector works from now on.

    Raises:
        LeaseLostError: another worker holds the connection.
    """
    leases.renew(connection, claim)
    connection.execute(_WORKED_BY, {"run_id": claim.run_id, "version": version})


def durable_later(connection: Connection) -> None:
    """Let nobody wait until what this transaction writes is on the disk: the next commit of the slice sees to that.

    For what a slice does once more when it was lost, as the server crashed in between.
    """
    connection.execute(_DURABLE_LATER)


def continue_later(
    connection: Connection,
    claim: Claim,
    pause_s: float,
    phase: str,
    carried: dict[str, Any],
    *,
    wait_reason: str | None = None,
    progressed: bool = True,
) -> bool:
    """End a slice in good order, not its run: the dispatcher finds the rest after `pause_s` seconds.

    Returns whether the owner asked the run to stop meanwhile: then it waits for nothing.

    `wait_reason` says why the run waits until then, in a phrase for its owner; None: it waits for a worker only.
    `progressed` is False for a slice in which no request was answered well and nothing was committed.

    Raises:
        LeaseLostError: another worker holds the connection.
    """
    cancelled = leases.renew(connection, claim)
    if cancelled:
        pause_s, wait_reason = 0.0, None
    values = {
        "run_id": claim.run_id,
        "pause_s": pause_s,
        "phase": phase,
        "carried": carried,
        "wait_reason": wait_reason,
        "progressed": progressed,
    }
    not_before: datetime = connection.execute(_CONTINUE, values).scalar_one()
    data = {
        **({"not_before": not_before.isoformat()} if pause_s > 0 else {}),
        **({"wait_reason": wait_reason} if wait_reason is not None else {}),
    }
    events.append(connection, claim.connection_id, claim.run_id, [("slice_ended", None, data)])
    leases.release(connection, claim)
    return cancelled
