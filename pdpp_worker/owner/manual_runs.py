"""Runs as their owner asks for them: collect now, retry gaps now, stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from pdpp_worker.dispatch import request_run
from pdpp_worker.owner import audit
from pdpp_worker.owner.gap_filters import GapFilter
from pdpp_worker.owner.lookup import ConnectionRow, find
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.recovery import sweep
from pdpp_worker.settings import Settings
from pdpp_worker.store import runs
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.gaps.due import GapSummary
from pdpp_worker.store.gaps.selection import parameters
from pdpp_worker.store.runs import DueRun

__all__ = ["DueRun", "GapSummary", "Requested", "cancel", "gap_summary", "names_single_items", "recover", "request"]


class Requested(NamedTuple):
    """A run, and whether it is new: a connection has one active run at most."""

    run: DueRun
    created: bool


def request(db: Database, name: str, *, full: bool = False) -> Requested:
    """Queue a run that walks all streams, unless one is active.

    Raises:
        NotFoundError: there is no such connection, or its connector is not installed.
    """
    with db.begin() as connection:
        row = find(connection, name)
    run_id, created = request_run(db, row, trigger="manual", full=full)
    return Requested(DueRun(run_id, row.connector), created)


def recover(
    settings: Settings, db: Database, rows: Sequence[ConnectionRow], chosen: GapFilter, budget: Budget
) -> list[DueRun]:
    """Make the chosen gaps of these connections due, given-up ones included; returns the runs that retry them."""
    named = {row.id: row for row in rows}

    def note(connection: Connection, connection_id: int, gaps: int) -> None:
        audit.note(connection, "gaps.recover", named[connection_id], gaps=gaps, **parameters(chosen))

    return sweep.recover(settings, db, list(named), chosen, budget, note)


def cancel(db: Database, name: str) -> DueRun | None:
    """Ask the active run of a connection to stop; None: it has none.

    Raises:
        NotFoundError: there is no such connection.
    """
    with db.begin() as connection:
        row = find(connection, name)
        run_id = runs.request_cancel(connection, row.id)
        if run_id is not None:
            audit.note(connection, "run.cancel", row, run=run_id)
    return None if run_id is None else DueRun(run_id, row.connector)


def gap_summary(connection: Connection, connection_id: int, chosen: GapFilter) -> GapSummary:
    """Count the chosen gaps by what keeps them from being retried now."""
    return due_gaps.summary(connection, connection_id, chosen)


def names_single_items(connection: Connection, connection_id: int, chosen: GapFilter) -> bool:
    """Whether every chosen gap that may be retried now names one item, so that a rate tells when all are done."""
    due = due_gaps.count_due(connection, connection_id, chosen)
    return due.resources == due.items
