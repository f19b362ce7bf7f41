"""Ends runs that no worker can finish, so that every run ends."""

from __future__ import annotations

from pdpp_worker.store.engine import Database
from pdpp_worker.store.run_end import RunEnd, end_run
from pdpp_worker.store.run_slices import Slice
from pdpp_worker.store.run_status import RunStatus

DEATHS = 4
"""Factor on the number of attempts, for slices that die after a commit. Such a commit may be no progress: a record that
says when it was read is a new one each time."""
NOTHING_IN_SCOPE = "there is nothing to collect: with its settings no stream is supplied to this connection"


def why_given_up(claimed: Slice, attempts: int) -> str | None:
    """Why a run is not tried any more; None if it is: its last slices did not die."""
    if claimed.idle_before >= attempts:
        return f"{claimed.idle_before} slices in a row died before they committed anything"
    if claimed.died_before >= DEATHS * attempts:
        return f"{claimed.died_before} slices in a row died"
    return None


def give_up(db: Database, claimed: Slice, why: str) -> RunStatus:
    """End a run that no worker can begin."""
    streams = [scope["name"] for scope in claimed.streams]
    return end_run(db, claimed.claim, streams, RunEnd(walked=False, ended_well=False, error=why))
