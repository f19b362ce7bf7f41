"""Ends slices that only wait, many in one transaction: a worker that stops has seconds for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from pdpp_worker.store import events, leases, rates
from pdpp_worker.store.batch import Claim


class Parked(NamedTuple):
    """A slice that waits and has nothing to commit."""

    claim: Claim
    progressed: bool
    """Whether a request was answered well, or anything was committed."""
    rate: dict[str, Any] | None
    """The learned rate, where a request was sent."""


# As a slice that ends in good order without a pause: see run_slices.continue_later.
_CONTINUE = text("""
    UPDATE runs SET not_before = clock_timestamp(), rung_at = NULL, wait_reason = NULL,
        idle_slices = 0, died_slices = 0,
        still_slices = CASE WHEN given.progressed THEN 0 ELSE still_slices + 1 END,
        touched_at = greatest(touched_at, CASE WHEN given.progressed THEN clock_timestamp() END)
    FROM unnest(CAST(:run_ids AS bigint[]), CAST(:progressed AS boolean[])) AS given (run_id, progressed)
    WHERE runs.id = given.run_id
""")


def end_all(connection: Connection, parked: Sequence[Parked]) -> set[int]:
    """End these slices in good order, and not their runs; returns the runs of those that were ended.

    A slice whose lease was lost, or is locked by another transaction, is left as it is.
    """
    held = leases.renew_all(connection, [one.claim for one in parked])
    ended = [one for one in parked if one.claim.connection_id in held]
    values = {"run_ids": [one.claim.run_id for one in ended], "progressed": [one.progressed for one in ended]}
    connection.execute(_CONTINUE, values)
    rates.save_all(connection, {one.claim.connection_id: one.rate for one in ended if one.rate is not None})
    happened: events.Event = ("slice_ended", None, {})
    events.append_all(connection, [(one.claim.connection_id, one.claim.run_id, happened) for one in ended])
    leases.release_all(connection, [one.claim for one in ended])
    return {one.claim.run_id for one in ended}
