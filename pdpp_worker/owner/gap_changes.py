"""Gaps as their owner changes them: waived, or opened again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import audit
from pdpp_worker.owner.lookup import targets
from pdpp_worker.protocol.reasons import Reason, known_reason
from pdpp_worker.store import leases
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps.selection import GapFilter, parameters

__all__ = ["ALL", "GapFilter", "check_reason", "gap_filter", "reopen", "waive"]

ALL = GapFilter()


def gap_filter(stream: str | None, reason: str | None, ids: Sequence[int] | None) -> GapFilter:
    """Make a filter of gaps; None is all.

    Raises:
        ConfigurationError: there is no such reason; names those that there are.
    """
    check_reason(reason)
    return GapFilter(stream, reason, ids or None)


def check_reason(reason: str | None) -> None:
    """Refuse a reason that is none.

    Raises:
        ConfigurationError: names those that there are.
    """
    if reason is not None and known_reason(reason) is None:
        raise ConfigurationError(f"{reason!r} is not a reason; known: {', '.join(one.value for one in Reason)}.")


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
