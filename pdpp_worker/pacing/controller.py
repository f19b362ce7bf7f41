"""The rate of one connection, learned from what the provider refuses.

Pure: no input or output, and every instant is passed in, as seconds on one clock that never goes back. One request is
in flight at a time. `docs/rate.md` explains the law and what it measured.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

FRESH_S = 6 * 3600.0
"""A snapshot that is older says nothing about the provider of today."""
ALLOWED_REFUSALS = 2
REFUSAL_WINDOW_S = 60.0
MARGIN_S = 1.0
"""Added to the window: the provider's clock and ours need not agree."""
OUTAGE_S, OUTAGE_MAX_S = 30.0, 300.0
FAILURES_TO_OUTAGE = 3
"""Refusals, or server errors, in a row that mean an outage rather than a rate."""

RETREAT = 0.9
HOLD = 100
GROWTH = 1.002
RAMP = 1.02


class Controller:
    """Says when the next request may be sent. Rates are requests/s; intervals are milliseconds, as floats."""

    def __init__(
        self, ceiling_ms: float, cold_start_ms: float = 1000.0, refusal_window_s: float = REFUSAL_WINDOW_S
    ) -> None:
        self._ceiling_s = ceiling_ms / 1000
        self._refusal_window_s = refusal_window_s + MARGIN_S
        self._rate = min(1000 / cold_start_ms, 1 / self._ceiling_s)
        self._successes = 0
        self._throttled = False
        self._sent_at = self._held_until = -math.inf
        self._refused_at: deque[float] = deque(maxlen=ALLOWED_REFUSALS)
        self._refusals_in_a_row = self._errors_in_a_row = 0

    def interval_ms(self, now: float) -> float:  # noqa: ARG002
        """How far the next request has to stay from the last one; never below the ceiling."""
        return max(self._ceiling_s, 1 / self._rate) * 1000

    def next_send(self, now: float) -> float:
        """The earliest instant of the next request: its interval, and whatever holds it back."""
        at = max(now, self._sent_at + self.interval_ms(now) / 1000, self._held_until)
        if len(self._refused_at) < ALLOWED_REFUSALS:
            return at
        return max(at, self._refused_at[0] + self._refusal_window_s)

    def on_send(self, now: float) -> None:
        """A request goes out, retries and redirects included."""
        self._sent_at = now

    def on_success(self, now: float) -> None:  # noqa: ARG002
        """It was answered, and not for the rate or by a failing server."""
        self._refusals_in_a_row = self._errors_in_a_row = 0
        self._successes += 1
        if not self._throttled:
            self._rate *= RAMP
        elif self._successes > HOLD:
            self._rate *= GROWTH
        self._rate = min(self._rate, 1 / self._ceiling_s)

    def on_throttle(self, now: float, retry_after_s: float | None = None) -> None:
        """It was refused for the rate; `retry_after_s` is what the provider asked for, from now."""
        self._refused_at.append(now)
        self._refusals_in_a_row += 1
        self._hold(now + (retry_after_s or 0.0))
        if self._refusals_in_a_row >= FAILURES_TO_OUTAGE:
            self._back_off(now, self._refusals_in_a_row)
            return
        self._throttled, self._successes = True, 0
        self._rate *= RETREAT
        self._hold(now + 2 / self._rate)

    def on_upstream_error(self, now: float) -> None:
        """It failed at the provider or on the way: no rate signal, unless it keeps failing."""
        self._errors_in_a_row += 1
        if self._errors_in_a_row >= FAILURES_TO_OUTAGE:
            self._back_off(now, self._errors_in_a_row)

    def snapshot(self, now: float) -> dict[str, Any]:
        """What was learned, for JSON. Instants are told as seconds ago."""
        return {
            "rate": self._rate,
            "throttled": self._throttled,
            "refused_ago_s": [now - at for at in self._refused_at],
        }

    def restore(self, snapshot: Mapping[str, Any], now: float, age_s: float) -> None:
        """Go on from a snapshot that was taken `age_s` ago, unless it is stale."""
        self._refused_at.extend(now - age_s - ago for ago in snapshot["refused_ago_s"])
        if age_s > FRESH_S:
            return
        self._rate = min(snapshot["rate"], 1 / self._ceiling_s)
        self._throttled = snapshot["throttled"]

    def _hold(self, until: float) -> None:
        self._held_until = max(self._held_until, until)

    def _back_off(self, now: float, in_a_row: int) -> None:
        self._hold(now + min(OUTAGE_MAX_S, OUTAGE_S * 2 ** min(in_a_row - FAILURES_TO_OUTAGE, 10)))
