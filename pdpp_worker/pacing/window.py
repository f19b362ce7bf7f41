"""A provider that counts requests by the minute, inferred from what it refuses.

Its window slides, or begins anew at fixed instants. A sliding one refuses only when the last minute is full. A fixed
one gives its whole budget at the reset, which a Retry-After tells; without one, the budget counted back from a refusal
tells where the window began.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pdpp_worker.pacing.snapshot import WindowSnapshot

WINDOW_S = 60.0
GUARD_S = 0.2
"""Kept from the edge of a sliding window: the provider's clock sees the requests a little later."""
SPREAD = 0.5
"""The share of the window over which its budget is spread: the rest is for late answers, and for a window cut short."""
TOLD_WIDTH_S = 1.0
"""Retry-After is in whole seconds."""
STILL_FULL = 0.8
"""After a refusal below the limit, the share of the minute's requests that stays in when the next one is tried."""
_AFTER_S = 0.02
DOUBTS = 3
"""Contradictions after which the window is taken for a sliding one."""
FEWEST = 0.7
"""A refusal below this share of the limit contradicts the window itself."""


class MinuteWindow:
    """The budget of a minute, and where its window begins if it is fixed. Instants in seconds."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._reset_at: float | None = None
        self._width = TOLD_WIDTH_S
        self._doubts = 0

    def due(self, now: float, sent_at: float, admitted: Sequence[float], budget: int) -> float:
        """When the window has room for one more of `budget`; `admitted` are the sends of the last minutes."""
        at = max(now, sent_at + SPREAD * WINDOW_S / budget)
        if (reset_at := self._reset_at) is not None:
            shut = self._used(at, reset_at, admitted) >= budget
            return self._began(at, reset_at) + WINDOW_S + _AFTER_S if shut else at
        return max(at, admitted[-budget] + WINDOW_S + GUARD_S) if len(admitted) >= budget else at

    def on_refused(self, sent_at: float, admitted: Sequence[float], told_reset_at: float | None) -> float | None:
        """Learn from a refusal; returns until when the window stays shut, or None if this is no such window."""
        minute = in_last_minute(sent_at, admitted)
        if minute < FEWEST * self.limit - 1 or self._is_exceeded(sent_at, admitted):
            return None
        shut_until = sent_at
        if self._reset_at is not None:
            self._check(sent_at, self._reset_at, admitted, told=told_reset_at is not None)
        elif minute > self.limit and self._doubts < DOUBTS and told_reset_at is None:
            self._locate(admitted)
        else:
            shut_until = self._count(minute, sent_at, admitted)
        self.tell_reset(told_reset_at)
        return shut_until if self._reset_at is None else self._began(sent_at, self._reset_at) + WINDOW_S

    def on_refused_again(self, sent_at: float, admitted: Sequence[float], told_reset_at: float | None) -> None:
        """It is still shut: its budget is no more than what the last minute holds."""
        self.limit = max(1, min(self.limit, in_last_minute(sent_at, admitted)))
        if told_reset_at is None:
            self._reset_at = None

    def tell_reset(self, reset_at: float | None) -> None:
        """The provider said when its window begins anew."""
        if reset_at is not None and self._doubts < DOUBTS:
            self._reset_at, self._width = reset_at, TOLD_WIDTH_S

    def snapshot(self, now: float) -> dict[str, Any]:
        """What was learned, for JSON; instants as seconds ago."""
        return {
            "limit": self.limit,
            "reset_ago": None if self._reset_at is None else round(now - self._reset_at, 3),
            "width": round(self._width, 3),
            "doubts": self._doubts,
        }

    @classmethod
    def restored(cls, snapshot: WindowSnapshot, then: float) -> MinuteWindow:
        """Go on from a snapshot that was taken at `then`."""
        window = cls(snapshot.limit)
        window._reset_at = None if snapshot.reset_ago is None else then - snapshot.reset_ago
        window._width, window._doubts = snapshot.width, snapshot.doubts
        return window

    def _check(self, sent_at: float, reset_at: float, admitted: Sequence[float], *, told: bool) -> None:
        used = self._used(sent_at, reset_at, admitted)
        if used >= 0.98 * self.limit - 0.5:
            began = self._began(sent_at, reset_at)
            self.limit = max(min(self.limit, used), sum(at >= began for at in admitted))
        elif told and 2 * used > self.limit != in_last_minute(sent_at, admitted):
            self.limit = used
        else:
            self._reset_at = None
            self._doubts += 1

    def _is_exceeded(self, now: float, admitted: Sequence[float]) -> bool:
        """Whether more was admitted than all the windows that such a time can touch would hold."""
        count = len(admitted)
        return any(count - i > self.limit * ((now - at) // WINDOW_S + 2) + 2 for i, at in enumerate(admitted))

    def _locate(self, admitted: Sequence[float]) -> None:
        self._reset_at = admitted[-self.limit]
        self._width = self._reset_at - admitted[-self.limit - 1]

    def _count(self, minute: int, sent_at: float, admitted: Sequence[float]) -> float:
        if minute == self.limit:
            self._doubts += 1
            return sent_at
        lower = minute < self.limit
        self.limit = max(1, minute)
        return admitted[-math.ceil(STILL_FULL * self.limit)] + WINDOW_S if lower else sent_at

    def _began(self, at: float, reset_at: float) -> float:
        return at - (at - reset_at) % WINDOW_S

    def _used(self, at: float, reset_at: float, admitted: Sequence[float]) -> int:
        began = self._began(at, reset_at) - self._width
        return sum(sent_at >= began for sent_at in admitted)


def in_last_minute(at: float, admitted: Sequence[float]) -> int:
    """How many requests were admitted in the minute before `at`."""
    return sum(at - sent_at < WINDOW_S for sent_at in admitted)
