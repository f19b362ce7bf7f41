"""The wait of a connection and the next try of a gap: one rule for all commands. Pure: rows in, answers out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pdpp_worker.protocol.reasons import PRESSURE
from pdpp_worker.store.views.wait_views import Waits

PROVIDERS_PAUSE = "the provider asked for a pause"
UNKNOWN = "no reason is known"


@dataclass(frozen=True)
class Wait:
    """A wait: nothing is asked for before `until`."""

    until: datetime
    reason: str


def wait_of(waits: Waits, now: datetime) -> Wait | None:
    """The wait that is in force at a connection; None: it goes on as soon as there is something to do.

    Where several are, the one that ends last. A pause that the provider asked for holds back only what was refused, so
    it counts only where no run is active.
    """
    found = [Wait(waits.hold_until, waits.hold_reason or UNKNOWN)] if waits.hold_until else []
    if waits.run is not None and not waits.run.leased:
        found.append(Wait(waits.run.not_before, waits.run.wait_reason or UNKNOWN))
    if waits.run is None and waits.pressed and waits.cooldown_until is not None:
        found.append(Wait(waits.cooldown_until, PROVIDERS_PAUSE))
    return max((one for one in found if one.until > now), key=lambda one: one.until, default=None)


def next_try(
    own: datetime | None, reason: str, wait: Wait | None, cooldown_until: datetime | None, now: datetime
) -> datetime | None:
    """The next try of a gap of this reason, whose own time is `own`; None: it has no time.

    `wait` is the one in force at its connection, `cooldown_until` the end of the pause that the provider asked for.
    """
    if own is None:
        return None
    if reason in PRESSURE and cooldown_until is not None and cooldown_until > now:
        own = max(own, cooldown_until)
    return after_wait(own, wait)


def after_wait(at: datetime, wait: Wait | None) -> datetime:
    """A time, or the end of the wait in force if that is later."""
    return at if wait is None else max(at, wait.until)
