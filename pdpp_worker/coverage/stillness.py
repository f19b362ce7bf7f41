"""Whether a connection stands still: work that is eligible, and has not been touched for too long. Pure.

A hold with a reason, a schedule that is paused and gaps that wait for the owner are no standstill. A fleet without a
worker or without a dispatcher is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pdpp_worker.store.views.wait_views import ActiveRun, Waits

LEAST_BOUND = timedelta(minutes=5)
INTERVALS = 10
"""Learned intervals without a touch that are too long, where they are longer than `LEAST_BOUND`."""
FRUITLESS_SLICES = 5
"""A run says so when so many of its slices in a row made no progress."""


class Cause(StrEnum):
    """Cause for which eligible work is not touched."""

    NOT_DISPATCHED = "not_dispatched"
    NO_WORKER = "no_worker"
    SILENT = "silent"
    NO_REASON = "no_reason"
    NO_RUN = "no_run"
    FAILING = "failing"


_BECAUSE = {
    Cause.NOT_DISPATCHED: "nobody dispatches it: is the fleet up?",
    Cause.NO_WORKER: "workers were notified of it, and none takes it",
    Cause.SILENT: "a worker is at it, and asks for nothing",
    Cause.NO_REASON: "it waits, and no reason is known",
    Cause.NO_RUN: "it is due, and no run goes for it",
    Cause.FAILING: "its runs fail before they ask for anything",
}


@dataclass(frozen=True)
class Untouched:
    """Eligible work that nobody has touched since `since`."""

    cause: Cause
    since: datetime
    run_id: int | None

    @property
    def because(self) -> str:
        """The cause in words."""
        return _BECAUSE[self.cause]


def untouched(waits: Waits, *, installed: bool, now: datetime) -> Untouched | None:
    """The work of a connection that could go on now, and since when it has not; None: there is none.

    `installed`: whether its connector is; without it, what has no run yet waits for the owner.
    """
    if waits.hold_until is not None and waits.hold_until > now:
        return None
    if waits.failing_since is not None and installed and not waits.paused:
        return Untouched(Cause.FAILING, waits.failing_since, None)
    found = _of_run(waits.run, now) if waits.run is not None else _without_run(waits, installed=installed, now=now)
    if found is None:
        return None
    touched = [] if waits.touched_at is None else [min(waits.touched_at, now)]
    over = [at for at in (waits.hold_until, waits.cooldown_until) if at is not None and at <= now]
    return Untouched(found.cause, max([found.since, *touched, *over]), found.run_id)


def stillness(waits: Waits, *, installed: bool, now: datetime) -> Untouched | None:
    """The work that has not been touched for longer than its bound."""
    found = untouched(waits, installed=installed, now=now)
    return found if found is not None and now - found.since > bound(waits.interval_ms) else None


def bound(interval_ms: float | None) -> timedelta:
    """The longest time that eligible work may stay untouched where one request goes out each `interval_ms`."""
    return max(LEAST_BOUND, timedelta(milliseconds=INTERVALS * (interval_ms or 0.0)))


def is_fruitless(run: ActiveRun | None) -> bool:
    """Whether the last slices of a run made no progress, so that it has to say why."""
    return run is not None and run.still_slices >= FRUITLESS_SLICES


def _of_run(run: ActiveRun, now: datetime) -> Untouched | None:
    """An active run is eligible from the day it was queued, but for waits that have a reason."""
    waits = not run.leased and run.not_before > now
    if waits and run.wait_reason is not None:
        return None
    return Untouched(Cause.NO_REASON if waits else _cause_of_due(run, now), run.created_at, run.id)


def _cause_of_due(run: ActiveRun, now: datetime) -> Cause:
    if run.leased:
        return Cause.SILENT
    was_rung = run.rung_at is not None and now - run.rung_at <= LEAST_BOUND
    return Cause.NO_WORKER if was_rung else Cause.NOT_DISPATCHED


def _without_run(waits: Waits, *, installed: bool, now: datetime) -> Untouched | None:
    """Work that is due and has no run yet: the walk on schedule, which retries gaps first, or gaps."""
    if waits.paused or not installed:
        return None
    due = [at for at in (waits.next_run_at, waits.due_at) if at is not None and at <= now]
    return Untouched(Cause.NO_RUN, min(due), None) if due else None
