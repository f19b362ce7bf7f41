"""Stop conditions of a slice: time limit, lease, budget, cancellation, shutdown, failures in a row."""

from __future__ import annotations

import time
from collections.abc import Callable

from pdpp_worker.errors import UpstreamError
from pdpp_worker.pacing.counts import RequestCounts
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.runtime.heartbeat import Heartbeat
from pdpp_worker.runtime.time_limits import PARKED_S, BudgetSpent, SliceEnded, TimeLimits

LONGEST_SLEEP_S = 5.0
"""A wait that should have been woken looks by itself after so long, s."""


class SliceLimits:
    """Says when a slice must end, and waits for its requests within these limits."""

    def __init__(
        self,
        heartbeat: Heartbeat,
        time_limits: TimeLimits,
        requests: RequestCounts,
        *,
        max_requests: int | None,
        has_failed_enough: Callable[[], bool],
        stopping: Callable[[], bool],
    ) -> None:
        """`max_requests`: budget of requests, None is no limit; `has_failed_enough`: whether to send none any more."""
        self.heartbeat = heartbeat
        self.time = time_limits
        self.requests = requests
        self.has_failed_enough = has_failed_enough
        self.before_long_wait: Callable[[float], None] = lambda _: None
        """Called before a wait of `PARKED_S` or more, with the instant of its end."""
        self._max_requests = max_requests
        self._stopping = stopping

    @property
    def must_stop(self) -> bool:
        """Whether the slice may not go on: lease or budget are gone, the owner cancelled, the worker shuts down."""
        beat = self.heartbeat
        return beat.lost or beat.cancelled or beat.ended or self._stopping() or self.time.is_out_of_budget

    def check(self) -> None:
        """End a connector that waits for something else than its requests.

        Raises:
            SliceEnded: the slice may not go on.
            UpstreamError: the connector has been idle for too long.
        """
        if self.must_stop:
            raise SliceEnded
        if self.heartbeat.is_idle:
            raise UpstreamError(f"the connector was silent for {self.heartbeat.idle_timeout_s:g} s", reason="timed_out")

    def wait_for_owner(self) -> None:
        """Count the wait for the owner's answer as a sign of life; raises SliceEnded as `check` does."""
        self.heartbeat.touch()
        self.check()

    def wait_until(self, instant: float, hold: Hold | None) -> None:
        """Wait inside the slice until a monotonic instant (s), at which a hold ends or an interval is over.

        Raises:
            BudgetSpent: no request is left, or the instant lies beyond what is left of the run's budget.
            SliceEnded: the wait is too long, requests only fail, or the slice has to stop while it waits.
        """
        if self._max_requests is not None and self.requests.sent >= self._max_requests:
            raise BudgetSpent
        if self.has_failed_enough():
            raise SliceEnded
        self.time.check_wait(instant, hold)
        if instant - time.monotonic() >= PARKED_S:
            self.before_long_wait(instant)
        with self.heartbeat.parked():
            self._sleep_until(instant)
        if self.heartbeat.ended:
            raise SliceEnded

    def _sleep_until(self, instant: float) -> None:
        while True:
            if self.must_stop:
                raise SliceEnded
            if (left := instant - time.monotonic()) <= 0:
                return
            self.heartbeat.wait(min(left, LONGEST_SLEEP_S))
