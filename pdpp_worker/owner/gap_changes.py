"""Gaps as their owner changes them: waived, or opened again."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from pdpp_worker.owner import audit
from pdpp_worker.owner.gap_filters import GapFilter
from pdpp_worker.owner.lookup import targets
from pdpp_worker.store import leases
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps.selection import parameters


def waive(db: Database, name: str, chosen: GapFilter) -> int:
    """Close the chosen gaps of a connection, or of all connections of a connector; returns how many.

    Raises:
        NotFoundError: the name is neither.
    """
    return _change(db, name, chosen, by_owner.waive, "gaps.waive")


def reopen(db: Database, name: str, chosen: GapFilter) -> int:
    """Open again the chosen gaps that were waived, given up or said not to exist; returns how many.

    Raises:
        NotFoundError: the name is neither a connection nor a connector of one.
    """
    return _change(db, name, chosen, by_owner.reopen, "gaps.reopen")


def _change(
    db: Database,
    name: str,
    chosen: GapFilter,
    statement: Callable[[Connection, list[int], GapFilter], int],
    action: str,
) -> int:
    def apply(connection: Connection) -> int:
        rows, total = targets(connection, name), 0
        leases.lock(connection, [row.id for row in rows])  # all at once, so that two who change many wait in one order
        for row in rows:
            total += (count := statement(connection, [row.id], chosen))
            if count:
                audit.note(connection, action, row, gaps=count, **parameters(chosen))
        return total

    return db.transact(apply)
