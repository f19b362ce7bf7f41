"""Limits that a provider announces with its answers, used while they agree with what happens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.snapshot import LONGEST_HOLD_S, AnnouncementSnapshot, ahead

LONG_S = 60.0
AGREEING, MOST_AGREEING = 20, 2000
"""Answers that have to agree before an announcement that disagreed is used again."""


class Announcement:
    """The announcement of the last answer. Instants and durations in seconds."""

    def __init__(self) -> None:
        self._remaining = 0
        self._reset_at = self._told_at = -math.inf
        self._is_promised = self._is_anew = False
        self._agreed = self._needed = 0

    def on_announced(self, now: float, limits: Sequence[Announced]) -> None:
        """Keep the limit that ends first, or of those that are used up the one that lasts longest."""
        usable = [one for one in limits if one.remaining >= 0 and 0 <= one.reset_s <= LONGEST_HOLD_S]
        if not usable:
            return
        used_up = [one for one in usable if one.remaining == 0]
        tightest = max(used_up, key=lambda one: one.reset_s) if used_up else min(usable, key=lambda one: one.remaining)
        if self._is_anew and not tightest.remaining and tightest.limit != 1 and tightest.reset_s >= LONG_S:
            self._disagree()  # a window that has just begun has something left, unless it slides
        self._remaining, self._reset_at, self._told_at = tightest.remaining, now + tightest.reset_s, now

    def on_send(self, now: float) -> None:
        """A request goes out, which takes one of what remains."""
        self._is_promised = self._remaining > 0 and now < self._reset_at
        self._is_anew = not self._remaining and now >= self._reset_at > -math.inf
        self._remaining = max(0, self._remaining - 1)

    def on_success(self) -> None:
        """Note that the provider agreed."""
        self._agreed += 1

    def on_refused(self, now: float) -> None:
        """Note a refusal: with something left, it disagrees."""
        if self._remaining > 0 if self._told_at == now else self._is_promised:
            self._disagree()

    def interval_s(self, now: float) -> float | None:
        """The rest of the time, spread over the rest of the requests; None where the announcement is not trusted."""
        if self._agreed < self._needed or now >= self._reset_at or not self._remaining:
            return None
        return (self._reset_at - now) / self._remaining

    def hold(self, now: float) -> Hold | None:
        """Until the reset, where nothing is left."""
        if self._remaining or self._agreed < self._needed or now >= self._reset_at:
            return None
        return Hold(self._reset_at, "the announced limit is used up")

    def _disagree(self) -> None:
        """Trusts it again after answers that agree, twice as many each time."""
        self._agreed, self._needed = 0, min(max(AGREEING, 2 * self._needed), MOST_AGREEING)

    def snapshot(self, now: float) -> dict[str, Any]:
        """The state that is kept for the next run."""
        return {
            "remaining": self._remaining,
            "reset_s": ahead(now, self._reset_at),
            "agreed": self._agreed,
            "needed": self._needed,
        }

    def restore(self, kept: AnnouncementSnapshot, then: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self._remaining, self._reset_at = kept.remaining, then + kept.reset_s
        self._agreed, self._needed = kept.agreed, kept.needed
