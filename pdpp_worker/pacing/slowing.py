"""The answer to refusals of a rate that was not probed: slow down, and check whether that helped.

A quota that fell refuses until the pace has followed it. A provider that sheds load, an owner who uses the account by
hand or an item that is always refused goes on refusing, however slow the pace. So a refusal is measured together with
those before it, refusals that follow each other closely although each slowed the pace down are taken for the second
kind, and what they took away is given back.
"""

from __future__ import annotations

from typing import Any

from pdpp_worker.pacing.snapshot import SlowingSnapshot, ago

CUT = 0.07
"""The least by which a rate falls."""
LEAST_LEFT = 0.5
"""No single refusal takes away more of the rate: it may have another reason."""
MEASURED = 3
"""Refusals over which the refill is measured."""
AT_ONCE, CLOSE = 4, 100
"""Successes from one refusal to the next: with fewer the pace is far too fast, and what was cut by lasts longer."""
ASK, MORE = 5, 3
"""Close refusals, less those that were not, after which slowing down did not help; more of them each time."""
MOST_ASKED = 20
HELD = 20
"""Admissions from empty to empty that make a rate one that was held."""
FRESH_S = 6 * 3600.0
FLOOR = 0.2
"""The share of the best rate held lately below which only a wait that is told can bring the rate."""


class Slowing:
    """The outcome of the last refusals without probing. Rates are requests/s, instants s."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, float]] = []
        self._close = 0
        self._ask = ASK
        self._peak = 0.0
        self._best, self._best_at = 0.0, 0.0

    def on_refused(self, at: float, count: int, lasted_s: float | None) -> None:
        """`count` were admitted in the `lasted_s` since the bucket was empty, or None if it has been full since."""
        if lasted_s is None:
            self._spans = []
            return
        self._spans = [*self._spans, (count, lasted_s)][-MEASURED:]
        if count >= HELD and (count > self._best * lasted_s or at - self._best_at > FRESH_S):
            self._best, self._best_at = count / lasted_s, at

    def on_probed(self) -> None:
        """A probe was refused: what was measured before belongs to another rate."""
        self._spans = []

    def slower(self, rate: float, bound: float, successes: int) -> float:
        """The rate after `successes` at `rate`, where the refusal alone bounds it by `bound`."""
        count, lasted_s = (sum(part) for part in zip(*self._spans, strict=True)) if len(self._spans) > 1 else (0, 1.0)
        bound = max(bound, count / lasted_s) or rate
        if not self._close:
            self._peak = rate
        if successes >= AT_ONCE:
            self._close = max(0, self._close + (1 if successes < CLOSE else -1))
        if self._close < self._ask:
            return max(min(rate * (1 - CUT), bound), rate * LEAST_LEFT)
        self._close, self._ask = 0, min(self._ask + MORE, MOST_ASKED)
        return max(rate, self._peak)

    def floor(self, at: float) -> float:
        """The rate below which the refusals that were not slowed down for do not bring it."""
        return FLOOR * self._best if at - self._best_at < FRESH_S else 0.0

    def snapshot(self, now: float) -> dict[str, Any]:
        """The state that is kept for the next run."""
        return {
            "spans": [[count, round(lasted_s, 3)] for count, lasted_s in self._spans],
            "close": self._close,
            "ask": self._ask,
            "peak": self._peak,
            "best": self._best,
            "best_ago": ago(now, self._best_at),
        }

    def restore(self, kept: SlowingSnapshot, then: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self._spans = list(kept.spans)
        self._close, self._ask, self._peak = kept.close, kept.ask, kept.peak
        self._best, self._best_at = kept.best, then - kept.best_ago
