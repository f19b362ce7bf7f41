"""How long a slice may go on, and which waits are its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from pdpp_worker.pacing.hold import Hold

PACED = "paced at the learned interval"
"""Why a run waits that no hold keeps."""


class SliceEnded(BaseException):
    """The slice is over and its place is kept; `pause_s` is how long it is not worth going on, and `why`.

    Not an Exception, so that a connector's `except Exception` cannot swallow it.
    """

    def __init__(self, pause_s: float = 0.0, why: str | None = None) -> None:
        super().__init__("the slice is over")
        self.pause_s = pause_s
        self.why = why


class BudgetSpent(SliceEnded):
    """What the run may spend in this phase is spent."""


class Bounds:
    """A slice's time and what is left of its run's budget. Instants are monotonic, s."""

    def __init__(self, slice_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._slice_s = slice_s
        self._clock = clock
        self._deadline = clock() + slice_s
        self._allowed_until = math.inf
        self.progressed = False
        """Whether the slice has moved its place; its time does not run out before, so that no run turns in circles."""

    def allow(self, seconds: float | None) -> None:
        """Bound the slice by what is left of the run's budget, s."""
        self._allowed_until = math.inf if seconds is None else self._clock() + seconds

    @property
    def is_out_of_budget(self) -> bool:
        """Whether the run's time is used up."""
        return self._clock() >= self._allowed_until

    @property
    def spent(self) -> bool:
        """Whether the slice has had its time."""
        return self.progressed and self._clock() >= self._deadline

    def check_wait(self, instant: float, hold: Hold | None) -> None:
        """Let the slice wait until `instant`, at which a hold ends or an interval is over, or end it here.

        A slice that has not moved its place waits out every interval itself: the next one would begin anew, and so on
        for ever. A long hold is no working time, so it spends no budget. What is left of a short wait is the next
        slice's, which begins at once.

        Raises:
            BudgetSpent: the instant lies beyond what is left of the run's budget.
            SliceEnded: the wait is too long for the slice, or its time is over before.
        """
        left = instant - self._clock()
        if hold is not None and left >= self._slice_s:
            raise SliceEnded(left, hold.reason)
        if instant >= self._allowed_until:
            raise BudgetSpent
        if left >= self._slice_s and self.progressed:
            raise SliceEnded(left, PACED)
        if self.progressed and instant >= self._deadline:
            raise SliceEnded
