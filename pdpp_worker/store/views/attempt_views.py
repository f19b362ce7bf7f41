"""The tries of a gap, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class GapAttempt:
    """One try of a gap, as it ended."""

    place: int
    """Its place among all rows of the gap, from one on."""
    number: int
    """Which try it was since the gap was opened last; two rows of one number tell more of the same try."""
    run_id: int
    at: datetime
    asked_by: str | None
    """The trigger of its run: `schedule`, `sweep`, `upgrade`, or `manual`, the owner; null: the run is not known."""
    connector_version: str | None
    outcome: str
    """The gap's status after it: `open`, `exhausted`, `recovered` or `absent_upstream`."""
    reason: str | None
    """Null: its run ended without a word of the gap, or closed it."""
    error: str | None
    retry_after: datetime | None
    """Until when the provider wanted a pause."""
    next_attempt_at: datetime | None
    """When the next one became due."""


_OF_GAP = text("SELECT * FROM gap_attempts WHERE gap_id = :id ORDER BY place")


def of_gap(connection: Connection, gap_id: int) -> list[GapAttempt]:
    """The tries of a gap that are kept, oldest first."""
    return [build(GapAttempt, row) for row in connection.execute(_OF_GAP, {"id": gap_id}).mappings()]


def not_kept(kept: Sequence[GapAttempt], counted: int) -> int:
    """How many tries at least were counted of which nothing is kept: old ones, and those of earlier versions.

    `counted` is the number of tries that the gap has now. A number that does not grow begins a new count.
    """
    missing, before = 0, 0
    for one in kept:
        missing += max(0, one.number - 1 - (before if one.number >= before else 0))
        before = one.number
    dropped = kept[0].place - 1 if kept else 0
    return max(missing, dropped) + (max(0, counted - before) if counted >= before else 0)
