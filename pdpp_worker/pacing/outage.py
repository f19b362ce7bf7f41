"""Failures in a row: an outage or a block, which says nothing about the rate."""

from __future__ import annotations

import math
from typing import Any

from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.snapshot import OutageSnapshot, ago, ahead

AFTER = 3
FIRST_S, USUAL_S = 30.0, 300.0
"""The waits double from the first to the usual longest."""
SHARE, LONGEST_S = 0.25, 3600.0
"""A longer outage is asked about after a quarter of the time that it has lasted: a day of it costs few requests."""


class Outage:
    """Counts failures in a row and says how long to wait. `what` happened, as in "failed": the reason names it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.in_a_row = 0
        self._evidence = 0.0
        self._began = self._until = -math.inf

    def on_failure(self, now: float, weight: float = 1.0) -> bool:
        """One more, which says as much as its `weight`; returns whether it is an outage, as `AFTER` in a row are."""
        if not self.in_a_row:
            self._began = now
        self.in_a_row += 1
        self._evidence += weight
        if self._evidence < AFTER:
            return False
        usual = min(FIRST_S * 2 ** min(self._evidence - AFTER, 10), USUAL_S)
        self._until = now + max(usual, min(SHARE * (now - self._began), LONGEST_S))
        return True

    def on_success(self) -> None:
        """End the outage."""
        self.in_a_row, self._evidence = 0, 0.0

    def hold(self) -> Hold:
        """The wait for it to be over."""
        return Hold(self._until, f"{self._what} {self.in_a_row} times in a row")

    def snapshot(self, now: float) -> dict[str, Any]:
        """The state that is kept for the next run."""
        return {
            "in_a_row": self.in_a_row,
            "evidence": self._evidence,
            "lasted_s": ago(now, self._began) if self.in_a_row else 0.0,
            "held_s": ahead(now, self._until),
        }

    def restore(self, kept: OutageSnapshot, then: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self.in_a_row, self._evidence = kept.in_a_row, kept.evidence
        self._began, self._until = then - kept.lasted_s, then + kept.held_s
