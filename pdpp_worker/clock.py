"""One clock for all workers, the database's: a machine whose own clock is wrong makes no wrong instant.

Durations are handed over and the database adds them to its own time. Where an instant has to be made in a worker, such
as the end of a pause that a provider asks for, it is made by `now`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_RESOLUTION_S = 0.001
"""A clock that is read for every record is not worth more than this, s."""


def going_on_from(now: datetime) -> Callable[[], datetime]:
    """A clock that shows `now` now, and goes on by the monotonic clock: steps of the machine's time do not reach it."""
    begun = at = time.monotonic()
    shown = now

    def read() -> datetime:
        nonlocal at, shown
        if (instant := time.monotonic()) - at >= _RESOLUTION_S:
            at, shown = instant, now + timedelta(seconds=instant - begun)
        return shown

    return read


_STARTED = datetime.now(UTC) - timedelta(seconds=time.monotonic())


def steady() -> datetime:
    """This machine's time as it was when the process started, going on by the monotonic clock."""
    return _STARTED + timedelta(seconds=time.monotonic())


class _Clock:
    def __init__(self) -> None:
        self.read: Callable[[], datetime] = lambda: datetime.now(UTC)


_clock = _Clock()


def set_by(database_now: datetime) -> None:
    """Let this process's clock go on from the database's time, as it was read just now."""
    _clock.read = going_on_from(database_now)


def now() -> datetime:
    """The database's time, as this process knows it; this machine's, before it was told."""
    return _clock.read()
