"""The time limits of a slice, and which waits it may wait out itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from pdpp_worker.pacing.hold import Hold

PACED = "paced at the learned interval"
"""Why a run waits that no hold keeps."""


PARKED_S = 1.0
"""A wait of so long is no work: what came before it is committed, and it takes nothing of the slice's time."""


class SliceEnded(BaseException):
    """The slice is over, and the run goes on later: after `pause_s` seconds, because of `why`.

    Not an Exception, so that a connector's `except Exception` cannot swallow it.
    """

    def __init__(self, pause_s: float = 0.0, why: str | None = None) -> None:
        super().__init__("the slice is over")
        self.pause_s = pause_s
        self.why = why


class BudgetSpent(SliceEnded):
    """The budget of this phase is spent."""


class TimeLimits:
    """A slice's time, and what is left of its run's budget. Instants are monotonic, s."""

    def __init__(
        self,
        slice_s: float,
        budget_s: float | None = None,
        *,
        longest_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`budget_s`: working time that the run has left; None is no limit.

        `longest_s`: the slice's time with its parked waits; where it is no more than `slice_s`, these count as work.
        """
        self._slice_s = slice_s
        self._clock = clock
        self._deadline = clock() + slice_s
        self._latest = clock() + max(slice_s, longest_s)
        self._budget_until = math.inf if budget_s is None else clock() + budget_s
        self.progressed = False
        """Whether the slice has committed progress. Its time does not run out before, or each slice would begin anew
        at the same place for ever."""

    @property
    def is_out_of_budget(self) -> bool:
        """Whether the run's time is used up."""
        return self._clock() >= self._budget_until

    @property
    def is_over(self) -> bool:
        """Whether the slice has had its time; it goes on until it has progressed."""
        return self._clock() >= self._deadline

    def check_wait(self, instant: float, hold: Hold | None) -> None:
        """Let the slice wait until `instant`, at which a hold ends or an interval is over, or end it here.

        A slice without progress waits out every interval itself: the next one would begin anew, and so on for ever. A
        long hold is no working time, so it spends no budget. The rest of a short wait is left to the next slice, which
        begins at once.

        Raises:
            BudgetSpent: the instant lies beyond what is left of the run's budget.
            SliceEnded: the wait is too long for the slice, or its time is over before.
        """
        left = instant - self._clock()
        if hold is not None and left >= self._slice_s:
            raise SliceEnded(left, hold.reason)
        if instant >= self._budget_until:
            raise BudgetSpent
        if left >= self._slice_s and self.progressed:
            raise SliceEnded(left, PACED)
        if left >= PARKED_S:
            self._deadline = min(self._deadline + left, self._latest)
        if self.progressed and instant >= self._deadline:
            raise SliceEnded
