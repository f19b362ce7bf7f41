"""What one lane's provider is believed to admit, corrected by what it refuses. `docs/rate.md` explains the law."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.snapshot import ModelSnapshot, ahead
from pdpp_worker.pacing.token_bucket import LEAST_LEFT, TokenBucket
from pdpp_worker.pacing.window import WINDOW_S, MinuteWindow, in_last_minute

RAMP = 30
"""Successes in which the rate doubles before the first refusal."""
PATIENT, EAGER = 200, 40
"""Successes at a rate before it is probed."""
PROBE, PROBE_STEPS = 0.01, 15.0
"""A probe goes PROBE * (exp(n / PROBE_STEPS) - 1) above the rate after n successes."""
STEEPEST = 10.0
RISEN, FALLEN = 1.1, 0.8
"""Changes of the rate after which it is soon probed again."""
CHANGED = 0.03
"""A change that leaves the rate in doubt."""
WARY = 0.95
"""The share of a new rate that is used while a second refusal would cost a long wait."""
IDLE_S = 600.0
"""A pause after which a rate in doubt is probed at once."""
FAR = 3.0
"""A wait of more intervals than this, told by Retry-After, is that of a window."""
FEWEST_IN_WINDOW = 3


class Model:
    """A bucket, perhaps a window, and the place between two probes. Rates are requests/s, instants s."""

    def __init__(self, cold_rate: float, fastest: float) -> None:
        self._cold_rate, self._fastest = cold_rate, fastest
        self._bucket = TokenBucket(cold_rate)
        self._window: MinuteWindow | None = None
        self._throttled = self._wary = False
        self._successes = self._patience = self._last_minute = 0
        self._shut_until = -math.inf

    @property
    def rate(self) -> float:
        """The rate that the provider is believed to sustain."""
        return self._bucket.rate if self._window is None else self._window.limit / WINDOW_S

    @property
    def quota_per_s(self) -> float | None:
        """The same, or None while no refusal has taught it: the first ones may speak of the burst alone."""
        taught = self._window is not None or self._bucket.rate != self._cold_rate
        return self.rate if self._throttled and taught else None

    def pace(self, wary_until: float, sent_at: float) -> float:
        """What is sent, with the probe."""
        return min(self.rate * self._gain(wary_until, sent_at), self._fastest)

    def due(self, now: float, sent_at: float, admitted: Sequence[float], wary_until: float) -> Hold:
        """When the next request is admitted, as far as is believed, and why not sooner."""
        gain = self._gain(wary_until, sent_at)
        if self._window is None:
            pace = min(self._bucket.rate * gain, self._fastest)
            return Hold(self._bucket.due(now, pace), "refused a moment ago")
        budget = self._window.limit + math.ceil(self._window.limit * max(0.0, gain - 1))
        due = max(self._window.due(now, sent_at, admitted, budget), self._shut_until)
        return Hold(due, f"the budget of {self._window.limit} a minute is used up")

    def on_send(self, now: float, sent_at: float, wary_until: float) -> None:
        """A request goes out."""
        self._bucket.on_send(now, min(self._bucket.rate * self._gain(wary_until, sent_at), self._fastest))

    def on_admitted(self) -> None:
        """The request sent last was admitted, whatever became of it then."""
        self._bucket.on_admitted()

    def on_success(self, sent_at: float, wary_until: float) -> None:
        """It was answered."""
        self._successes += 1
        if self._is_wary(sent_at, wary_until):
            self._patience = max(self._patience, self._successes)

    def on_refused(
        self,
        sent_at: float,
        admitted: Sequence[float],
        retry_after_s: float | None,
        told_reset_at: float | None,
        wary_until: float,
        before: Model,
        *,
        again: bool,
    ) -> None:
        """Learn from a refusal. `again`: the one before was refused too."""
        self._learn(sent_at, admitted, retry_after_s, told_reset_at, wary_until, again=again)
        change = self.rate / before.rate
        self._patience = PATIENT if FALLEN < change < RISEN and self._throttled else EAGER
        self._throttled, self._successes = True, 0
        self._wary = abs(change - 1) > CHANGED

    def resume(self) -> None:
        """Go on after refusals that taught nothing."""
        if self._throttled:
            self._successes = 0
        self._wary = False

    def snapshot(self, now: float) -> dict[str, Any]:
        """What was learned, for JSON; instants as seconds ago."""
        return {
            "bucket": self._bucket.snapshot(now),
            "window": None if self._window is None else self._window.snapshot(now),
            "throttled": self._throttled,
            "wary": self._wary,
            "successes": self._successes,
            "patience": self._patience,
            "shut_s": ahead(now, self._shut_until),
        }

    def restore(self, kept: ModelSnapshot, then: float, age_s: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self._bucket.restore(kept.bucket, then)
        self._window = None if kept.window is None else MinuteWindow.restored(kept.window, then)
        self._throttled = kept.throttled
        self._successes, self._patience = kept.successes, kept.patience
        self._shut_until = then + kept.shut_s
        self._wary = kept.wary and age_s < IDLE_S
        if kept.wary and not self._wary:
            self._successes = max(self._successes, self._patience)

    def _gain(self, wary_until: float, sent_at: float) -> float:
        """How far the pace is above the rate."""
        if not self._throttled:
            return math.exp2(min(self._successes / RAMP, STEEPEST))
        if self._is_wary(sent_at, wary_until):
            return WARY
        over = self._successes - self._patience
        return 1 + PROBE * math.expm1(min(over / PROBE_STEPS, STEEPEST)) if over > 0 else 1.0

    def _is_wary(self, sent_at: float, wary_until: float) -> bool:
        return self._wary and sent_at < wary_until

    def _learn(
        self,
        sent_at: float,
        admitted: Sequence[float],
        retry_after_s: float | None,
        reset_at: float | None,
        wary_until: float,
        *,
        again: bool,
    ) -> None:
        gain = self._gain(wary_until, sent_at)
        minute = in_last_minute(sent_at, admitted)
        if self._window is not None:
            self._learn_window(self._window, sent_at, admitted, reset_at, again=again)
        elif minute >= FEWEST_IN_WINDOW and (again or (retry_after_s or 0.0) > 1 + FAR / self.rate):
            self._window = MinuteWindow(min(minute, self._last_minute) if 2 * self._last_minute > minute else minute)
            self._window.tell_reset(reset_at)
        elif again:
            self._bucket.on_refused_again()
        else:
            self._bucket.on_refused(sent_at, admitted, gain, min(self._bucket.rate * gain, self._fastest))
        self._bucket.on_empty(sent_at)
        self._last_minute = minute

    def _learn_window(
        self, window: MinuteWindow, sent_at: float, admitted: Sequence[float], reset_at: float | None, *, again: bool
    ) -> None:
        if again:
            window.on_refused_again(sent_at, admitted, reset_at)
            return
        shut_until = window.on_refused(sent_at, admitted, reset_at)
        if shut_until is not None:
            self._shut_until = shut_until
            return
        self._bucket.rate = max(in_last_minute(sent_at, admitted) / WINDOW_S, self.rate * LEAST_LEFT)
        self._window = None
        if self._bucket.burst > 1:  # With the rate in doubt, strict spacing would look like a large burst.
            self._bucket.measure_burst()
