"""A provider that counts requests by a window of a minute or less, inferred from what it refuses.

The window slides, or begins anew at fixed instants. A sliding one refuses only when its last length is full. A fixed
one gives its whole budget at the reset, which a Retry-After tells; without one, the budget counted back from a refusal
tells where the window began.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pdpp_worker.pacing.snapshot import WindowSnapshot

MINUTE_S = 60.0
LENGTHS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, MINUTE_S)
"""The lengths that are tried; a longer window is met by waiting when it is used up."""
FEWEST_IN_WINDOW = 3
"""Requests that a window has to hold to be told from strict spacing."""
FEWEST_IN_SHORT = 7
"""A window shorter than a minute is inferred only where it holds so many."""
GUARD_S = 0.2
"""Kept from the edge of a sliding window: the provider's clock sees the requests a little later."""
SPREAD = 0.5
"""The share of the window over which its budget is spread: the rest is for late answers, and for a window cut short."""
TOLD_WIDTH_S = 1.0
"""Retry-After is in whole seconds."""
STILL_FULL = 0.8
"""After a refusal below the limit, the share of its requests that stays in when the next one is tried."""
_AFTER_S = 0.02
DOUBTS = 3
"""Contradictions after which the window is taken for a sliding one."""
FEWEST = 0.7
"""A refusal below this share of the limit contradicts the window itself."""


class Window:
    """The budget of a window, and where it begins if it is fixed. Instants and lengths in seconds."""

    def __init__(self, limit: int, length: float) -> None:
        self.limit, self.length = limit, length
        self._reset_at: float | None = None
        self._width = TOLD_WIDTH_S
        self._doubts = 0

    @property
    def rate(self) -> float:
        """The rate that it sustains, requests/s."""
        return self.limit / self.length

    @property
    def is_too_small(self) -> bool:
        """Whether so little fits in that it is no short window."""
        return self.length < MINUTE_S and self.limit < FEWEST_IN_WINDOW

    def __str__(self) -> str:
        return f"{self.limit} a minute" if self.length == MINUTE_S else f"{self.limit} in {self.length:g} s"

    def due(self, now: float, sent_at: float, admitted: Sequence[float], budget: int) -> float:
        """When the window has room for one more of `budget`; `admitted` are the sends of the last minutes."""
        at = max(now, sent_at + SPREAD * self.length / budget)
        if (reset_at := self._reset_at) is not None:
            shut = self._used(at, reset_at, admitted) >= budget
            return self._began(at, reset_at) + self.length + _AFTER_S if shut else at
        return max(at, admitted[-budget] + self.length + GUARD_S) if len(admitted) >= budget else at

    def on_refused(self, sent_at: float, admitted: Sequence[float], told_reset_at: float | None) -> float | None:
        """Learn from a refusal; returns until when the window stays shut, or None if this is no such window."""
        count = within(self.length, sent_at, admitted)
        if count < FEWEST * self.limit - 1 or self._is_exceeded(sent_at, admitted):
            return None
        shut_until = sent_at
        if self._reset_at is not None:
            self._check(sent_at, self._reset_at, admitted, told=told_reset_at is not None)
        elif count > self.limit and self._doubts < DOUBTS and told_reset_at is None:
            self._locate(admitted)
        else:
            shut_until = self._count(count, sent_at, admitted)
        self.tell_reset(told_reset_at)
        return shut_until if self._reset_at is None else self._began(sent_at, self._reset_at) + self.length

    def on_refused_again(self, sent_at: float, admitted: Sequence[float], told_reset_at: float | None) -> None:
        """Note that the window is still shut: its budget is no more than what it holds now."""
        self.limit = max(1, min(self.limit, within(self.length, sent_at, admitted)))
        if told_reset_at is None:
            self._reset_at = None

    def tell_reset(self, reset_at: float | None) -> None:
        """The provider said when its window begins anew."""
        if reset_at is not None and self._doubts < DOUBTS:
            self._reset_at, self._width = reset_at, TOLD_WIDTH_S

    def snapshot(self, now: float) -> dict[str, Any]:
        """The learned state for JSON; instants as seconds ago."""
        return {
            "limit": self.limit,
            "length": self.length,
            "reset_ago": None if self._reset_at is None else round(now - self._reset_at, 3),
            "width": round(self._width, 3),
            "doubts": self._doubts,
        }

    @classmethod
    def restored(cls, snapshot: WindowSnapshot, then: float) -> Window:
        """Go on from a snapshot that was taken at `then`."""
        window = cls(snapshot.limit, snapshot.length)
        window._reset_at = None if snapshot.reset_ago is None else then - snapshot.reset_ago
        window._width, window._doubts = snapshot.width, snapshot.doubts
        return window

    def _check(self, sent_at: float, reset_at: float, admitted: Sequence[float], *, told: bool) -> None:
        used = self._used(sent_at, reset_at, admitted)
        if used >= 0.98 * self.limit - 0.5:
            began = self._began(sent_at, reset_at)
            self.limit = max(min(self.limit, used), sum(at >= began for at in admitted))
        elif told and 2 * used > self.limit != within(self.length, sent_at, admitted):
            self.limit = used
        else:
            self._reset_at = None
            self._doubts += 1

    def _is_exceeded(self, now: float, admitted: Sequence[float]) -> bool:
        """Whether more was admitted than all the windows that such a time can touch would hold."""
        count = len(admitted)
        return any(count - i > self.limit * ((now - at) // self.length + 2) + 2 for i, at in enumerate(admitted))

    def _locate(self, admitted: Sequence[float]) -> None:
        self._reset_at = admitted[-self.limit]
        self._width = self._reset_at - admitted[-self.limit - 1]

    def _count(self, count: int, sent_at: float, admitted: Sequence[float]) -> float:
        if count == self.limit:
            self._doubts += 1
            return sent_at
        lower = count < self.limit
        self.limit = max(1, count)
        return admitted[-math.ceil(STILL_FULL * self.limit)] + self.length if lower else sent_at

    def _began(self, at: float, reset_at: float) -> float:
        return at - (at - reset_at) % self.length

    def _used(self, at: float, reset_at: float, admitted: Sequence[float]) -> int:
        began = self._began(at, reset_at) - self._width
        return sum(sent_at >= began for sent_at in admitted)


def within(length: float, at: float, admitted: Sequence[float]) -> int:
    """How many requests were admitted in the `length` seconds before `at`."""
    return sum(0 <= at - sent_at < length for sent_at in admitted)


def likely_length(refused: Sequence[float], admitted: Sequence[float], at_least: float) -> float:
    """The shortest window in which the fewest requests were admitted that were as many as at a refusal.

    A window is no shorter than a wait that was told, and holds some requests at every refusal.
    """
    lengths = [one for one in LENGTHS_S if one >= at_least and _limit(one, refused, admitted) >= FEWEST_IN_SHORT]
    return min(lengths, key=lambda one: (_misplaced(one, refused, admitted), one), default=MINUTE_S)


def _limit(length: float, refused: Sequence[float], admitted: Sequence[float]) -> int:
    return min(within(length, at, admitted) for at in refused)


def _misplaced(length: float, refused: Sequence[float], admitted: Sequence[float]) -> int:
    limit = _limit(length, refused, admitted)
    first = misplaced = 0
    for count, at in enumerate(admitted):
        while at - admitted[first] >= length:
            first += 1
        misplaced += count - first >= limit
    return misplaced
