"""The rate of one connection, learned from what the provider refuses. `docs/rate.md` explains the law.

Pure: no input or output, and every instant is passed in, as seconds on one clock that never goes back. One request is
in flight at a time: `next_send`, `on_send` when it goes out, then one of the outcomes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Any

from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.minute_window import WINDOW_S, MinuteWindow, in_last_minute
from pdpp_worker.pacing.snapshot import VERSION, Snapshot
from pdpp_worker.pacing.token_bucket import LEAST_LEFT, TokenBucket, ago

FRESH_S = 6 * 3600.0
"""A snapshot that is older says nothing about the provider of today."""

ALLOWED_REFUSALS = 2
REFUSAL_WINDOW_S = 60.0
REFUSAL_MARGIN_S = 1.0
"""Added to the window: the provider's clock need not agree with ours."""
OUTAGE_S, LONGEST_OUTAGE_S = 30.0, 300.0
OUTAGE_AFTER = 3
"""Failures in a row that mean an outage or a block, which says nothing about the rate."""

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
LOG_SIZE = 300
"""More than a minute at the usual ceilings, and more than one patience."""


class Controller:
    """Says when the next request may be sent. Rates are requests/s, intervals milliseconds, both floats."""

    def __init__(
        self, ceiling_ms: float, cold_start_ms: float = 1000.0, refusal_window_s: float = REFUSAL_WINDOW_S
    ) -> None:
        self._ceiling_s = ceiling_ms / 1000
        self._refusal_window_s = refusal_window_s + REFUSAL_MARGIN_S
        self._cold_rate = min(1000 / cold_start_ms, 1 / self._ceiling_s)
        self._bucket = TokenBucket(self._cold_rate)
        self._window: MinuteWindow | None = None
        self._admitted: deque[float] = deque(maxlen=LOG_SIZE)
        self._sent_at = self._held_until = -math.inf
        self._refused_at: deque[float] = deque(maxlen=ALLOWED_REFUSALS)
        self._refusals_in_a_row = self._errors_in_a_row = 0
        self._rate_before = self.rate
        self._throttled = self._wary = self._in_flight = False
        self._successes = self._patience = self._last_minute = 0
        self._believed: tuple[TokenBucket, MinuteWindow | None, bool, int] = self._bucket, None, False, 0

    @property
    def rate(self) -> float:
        """The rate that the provider is believed to sustain."""
        return self._bucket.rate if self._window is None else self._window.limit / WINDOW_S

    @property
    def quota_per_s(self) -> float | None:
        """The same, or None while no refusal has taught it: the first ones may speak of the burst alone."""
        taught = self._window is not None or self._bucket.rate != self._cold_rate
        return self.rate if self._throttled and taught else None

    def interval_ms(self, now: float) -> float:  # noqa: ARG002 - the pace changes with what happens
        """The interval between two requests, as learned; the ceiling at least."""
        return max(self._ceiling_s, 1 / (self.rate * self._gain)) * 1000

    def spacing_ms(self, now: float) -> float:
        """How far the next request has to stay from the last one: shorter than the interval where credit is left."""
        if not self._admitted:
            return self.interval_ms(now)
        if self._window is None:
            due = self._bucket.due(now, self._pace)
        else:
            due = self._window.due(now, self._sent_at, list(self._admitted), self._budget(self._window.limit))
        return max(self._ceiling_s, due - self._sent_at) * 1000

    def held_until(self) -> float:
        """The instant before which nothing may be sent: Retry-After, an outage, or the refusals of the last minute."""
        if len(self._refused_at) < ALLOWED_REFUSALS:
            return self._held_until
        return max(self._held_until, self._refused_at[0] + self._refusal_window_s)

    def next_send(self, now: float) -> float:
        """The earliest instant of the next request."""
        return max(now, self._sent_at + self.spacing_ms(now) / 1000, self.held_until())

    def on_send(self, now: float) -> None:
        """A request goes out, retries and redirects included."""
        self._bucket.on_send(now, self._pace)
        self._sent_at, self._in_flight = now, True

    def on_announced(self, now: float, limits: Sequence[Announced]) -> None:
        """The answer under way announces these limits."""

    def on_success(self, now: float) -> None:  # noqa: ARG002 - an admission counts from its send
        """It was answered, whatever the answer, and neither for the rate nor by a failing server."""
        self._admit()
        self._successes += 1
        if self._is_wary:
            self._patience = max(self._patience, self._successes)
        self._refusals_in_a_row = self._errors_in_a_row = 0

    def on_upstream_error(self, now: float) -> None:
        """It failed at the provider or on the way: no rate signal, and after some in a row an outage."""
        self._admit()
        self._errors_in_a_row += 1
        self._back_off(now, self._errors_in_a_row)

    def on_throttle(self, now: float, retry_after_s: float | None = None) -> None:
        """It was refused for the rate; `retry_after_s` is the wait that the provider asks for.

        The third refusal in a row is an outage or a block, so what the first two taught is taken back.
        """
        if not self._in_flight:
            self.on_send(now)
        self._in_flight = False
        gain, pace = self._gain, self._pace
        self._refused_at.append(now)
        self._refusals_in_a_row += 1
        self._held_until = max(self._held_until, now + (retry_after_s or 0.0))
        if self._back_off(now, self._refusals_in_a_row):
            self._take_back()
            return
        if self._refusals_in_a_row == 1:
            self._believed = copy(self._bucket), copy(self._window), self._throttled, self._successes
            self._rate_before = self.rate
        self._learn(gain, pace, retry_after_s, None if retry_after_s is None else now + retry_after_s)
        change = self.rate / self._rate_before
        self._patience = PATIENT if FALLEN < change < RISEN and self._throttled else EAGER
        self._throttled, self._successes = True, 0
        self._wary = abs(change - 1) > CHANGED

    def snapshot(self, now: float) -> dict[str, Any]:
        """What was learned, for JSON; instants as seconds ago."""
        return {
            "version": VERSION,
            "bucket": self._bucket.snapshot(now),
            "window": None if self._window is None else self._window.snapshot(now),
            "admitted_ago": ago(now, self._admitted),
            "refused_ago": ago(now, self._refused_at),
            "sent_ago": None if self._sent_at == -math.inf else now - self._sent_at,
            "held_s": max(0.0, self._held_until - now),
            "wary": self._wary,
            "throttled": self._throttled,
            "successes": self._successes,
            "patience": self._patience,
        }

    def restore(self, snapshot: object, now: float, age_s: float) -> bool:
        """Go on from a snapshot taken `age_s` ago: with its refusals and holds, and what it learned unless stale.

        Returns whether it could be read; what cannot, as another version's, is a cold start.
        """
        try:
            kept = Snapshot.model_validate(snapshot)
        except ValueError:
            return False
        then = now - max(0.0, age_s)  # the clock that tells the age can be set back
        self._refused_at.extend(then - ago for ago in kept.refused_ago)
        self._held_until = then + kept.held_s
        self._sent_at = -math.inf if kept.sent_ago is None else then - kept.sent_ago
        if age_s <= FRESH_S:
            self._restore_learned(kept, then, age_s)
        return True

    def _restore_learned(self, kept: Snapshot, then: float, age_s: float) -> None:
        self._bucket.restore(kept.bucket, then)
        if kept.window is not None:
            self._window = MinuteWindow.restored(kept.window, then)
        self._admitted.extend(then - ago for ago in kept.admitted_ago)
        self._throttled = kept.throttled
        self._successes, self._patience = kept.successes, kept.patience
        self._wary = kept.wary and age_s < IDLE_S
        if kept.wary and not self._wary:
            self._successes = max(self._successes, self._patience)

    @property
    def _gain(self) -> float:
        """How far the pace is above the rate."""
        if not self._throttled:
            return math.exp2(min(self._successes / RAMP, STEEPEST))
        if self._is_wary:
            return WARY
        over = self._successes - self._patience
        return 1 + PROBE * math.expm1(min(over / PROBE_STEPS, STEEPEST)) if over > 0 else 1.0

    @property
    def _is_wary(self) -> bool:
        return self._wary and self._sent_at < self._refused_at[-1] + self._refusal_window_s

    @property
    def _pace(self) -> float:
        return min(self._bucket.rate * self._gain, 1 / self._ceiling_s)

    def _budget(self, limit: int) -> int:
        return limit + math.ceil(limit * max(0.0, self._gain - 1))

    def _admit(self) -> None:
        if self._in_flight:  # what failed before it was sent was not admitted
            self._in_flight = False
            self._admitted.append(self._sent_at)
            self._bucket.on_admitted()

    def _back_off(self, now: float, in_a_row: int) -> bool:
        if in_a_row < OUTAGE_AFTER:
            return False
        wait = min(OUTAGE_S * 2 ** min(in_a_row - OUTAGE_AFTER, 10), LONGEST_OUTAGE_S)
        self._held_until = max(self._held_until, now + wait)
        return True

    def _take_back(self) -> None:
        self._bucket, self._window, self._throttled, successes = self._believed
        self._successes = 0 if self._throttled else successes
        self._wary = False

    def _learn(self, gain: float, pace: float, retry_after_s: float | None, reset_at: float | None) -> None:
        sent_at, admitted = self._sent_at, list(self._admitted)
        again = self._refusals_in_a_row > 1
        minute = in_last_minute(sent_at, admitted)
        if self._window is not None:
            self._learn_window(self._window, again=again, reset_at=reset_at)
        elif minute >= FEWEST_IN_WINDOW and (again or (retry_after_s or 0.0) > 1 + FAR / self.rate):
            self._window = MinuteWindow(min(minute, self._last_minute) if 2 * self._last_minute > minute else minute)
            self._window.tell_reset(reset_at)
        elif again:
            self._bucket.on_refused_again()
        else:
            self._bucket.on_refused(sent_at, admitted, gain, pace)
        self._bucket.on_empty(sent_at)
        self._last_minute = minute

    def _learn_window(self, window: MinuteWindow, *, again: bool, reset_at: float | None) -> None:
        admitted = list(self._admitted)
        if again:
            window.on_refused_again(self._sent_at, admitted, reset_at)
            return
        shut_until = window.on_refused(self._sent_at, admitted, reset_at)
        if shut_until is None:
            self._bucket.rate = max(in_last_minute(self._sent_at, admitted) / WINDOW_S, self.rate * LEAST_LEFT)
            self._window = None
            if self._bucket.burst > 1:  # With the rate in doubt, strict spacing would look like a large burst.
                self._bucket.measure_burst()
        else:
            self._held_until = max(self._held_until, shut_until)
