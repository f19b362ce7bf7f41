"""One clock for all workers, the database's: no two of them disagree about which version of a record is newer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta


def going_on_from(now: datetime) -> Callable[[], datetime]:
    """A clock that shows `now` now, and goes on by the monotonic clock: steps of the machine's time do not reach it."""
    begun = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - begun)
