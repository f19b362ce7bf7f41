"""Ends a run that no worker can bring to an end: each one ends, whatever keeps it from its own."""

from __future__ import annotations

from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.store.effects import Miss
from pdpp_worker.store.engine import Database
from pdpp_worker.store.run_end import RunEnd, end_run
from pdpp_worker.store.run_status import RunStatus
from pdpp_worker.store.runs import Slice

DEATHS = 4
"""So many times the slices that may die without getting anywhere may die in all: what is committed anew each time
(a record that says when it was read) looks like progress and is none."""
NOTHING_IN_SCOPE = "there is nothing to collect: with its settings no stream is supplied to this connection"


def why_given_up(claimed: Slice, attempts: int) -> str | None:
    """Why a run is not tried any more: its last slices died, and did not end in good order; None: it is tried."""
    if claimed.idle_before >= attempts:
        return f"{claimed.idle_before} slices in a row died before they committed anything"
    if claimed.died_before >= DEATHS * attempts:
        return f"{claimed.died_before} slices in a row died"
    return None


def give_up(db: Database, claimed: Slice, why: str) -> RunStatus:
    """End a run that no worker can even begin."""
    streams = [scope["name"] for scope in claimed.streams]
    return end_run(db, claimed.claim, streams, RunEnd(walked=False, ended_well=False, error=why))


def whole_stream_miss(stream: str, reason: Reason, text: str) -> Miss:
    """A stream that was to be walked and was not."""
    return Miss(
        stream=stream,
        scope=WHOLE_STREAM,
        reason=reason.value,
        recovery_kind=reason.kind.value,
        last_error=text,
        waits_for_owner=reason in NEEDS_OWNER,
    )
