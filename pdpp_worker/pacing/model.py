"""The estimate of what one lane's provider admits, corrected by what it refuses. `docs/rate.md` explains the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.probing import Probing
from pdpp_worker.pacing.slowing import AT_ONCE, CUT, LEAST_LEFT, Slowing
from pdpp_worker.pacing.snapshot import SLOWEST, ModelSnapshot, ago, ahead
from pdpp_worker.pacing.token_bucket import FIRST_BURST, TokenBucket, closest
from pdpp_worker.pacing.window import FEWEST_IN_WINDOW, MINUTE_S, Window, likely_length, within

SETTLED = 30
"""Admissions after which a refusal while probing is news, not an after-effect of the last one."""
FAR = 1.5
"""A wait of more intervals than this, told by Retry-After, is that of a window."""
ROUND_S = 30.0
"""A first wait of whole half minutes is more likely a constant than what is left of a window."""
COSTLY = 20.0
"""A told wait that costs more requests than this is worth being careful for."""
UNSEEN_BURST = 15
"""Requests that a bucket may have saved up while nothing was sent, where each refusal costs too much to find out."""
REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request sent at `sent_at` was refused `at`; `told_s` is Retry-After; `again`: so was the one before."""

    sent_at: float
    at: float
    told_s: float | None
    again: bool

    @property
    def reset_at(self) -> float | None:
        """The instant that Retry-After tells; one that is over already tells none."""
        return self.at + self.wait_s if self.wait_s else None

    @property
    def wait_s(self) -> float:
        """The wait that was told."""
        return max(0.0, self.told_s or 0.0)


class Model:
    """A bucket, perhaps a window, and the place between two probes. Rates are requests/s, instants s."""

    def __init__(self, cold_rate: float, fastest: float) -> None:
        self._cold_rate, self._fastest = cold_rate, fastest
        self._bucket = TokenBucket(cold_rate)
        self._window: Window | None = None
        self._probing, self._slowing = Probing(), Slowing()
        self._probed = False
        self._told_s: float | None = None
        self._refused: list[float] = []
        self._shut_until = -math.inf

    @property
    def rate(self) -> float:
        """The rate that the provider is estimated to sustain."""
        return self._bucket.rate if self._window is None else self._window.rate

    @property
    def quota_per_s(self) -> float | None:
        """The same, or None while no refusal has taught it: the first ones may speak of the burst alone."""
        taught = self._window is not None or self._bucket.rate != self._cold_rate
        return self.rate if self._probing.throttled and taught else None

    def pace(self, now: float) -> float:
        """The rate that is sent, probe included."""
        return min(self.rate * self._probing.gain(now), self._fastest)

    def due(self, now: float, sent_at: float, admitted: Sequence[float]) -> Hold:
        """The estimated time at which the next request is admitted, and the reason why not sooner."""
        if self._window is None:
            return Hold(self._bucket.due(now, self.pace(now)), "refused a moment ago")
        limit = self._window.limit
        budget = limit + math.ceil(limit * max(0.0, self._probing.gain(now) - 1))
        due = max(self._window.due(now, sent_at, admitted, budget), self._shut_until)
        return Hold(due, f"the budget of {self._window} is used up")

    def on_send(self, now: float) -> None:
        """A request goes out."""
        self._bucket.on_send(now, min(self._bucket.rate * self._probing.gain(now), self._fastest))

    def on_admitted(self) -> None:
        """The request sent last was admitted, whatever became of it then."""
        self._bucket.on_admitted()

    def on_success(self, sent_at: float) -> None:
        """Note that the request was answered."""
        self._probing.on_success(sent_at)

    def on_refused(self, refusal: Refusal, admitted: Sequence[float]) -> None:
        """Learn from a refusal; `admitted` are the sends that were admitted, the latest last."""
        before = self.rate
        costly = refusal.wait_s * before > COSTLY
        self._refused = [*self._refused, refusal.sent_at][-REMEMBERED:]
        self._slowing.on_refused(refusal.at, self._bucket.count, self._bucket.lasted_s(refusal.sent_at))
        changes_rate = self._learn(refusal, admitted, costly=costly)
        self._bucket.on_empty(refusal.sent_at)
        self._told_s = refusal.told_s
        if not refusal.wait_s:
            self._keep_above(self._slowing.floor(refusal.at))
        if changes_rate or self._probing.throttled:
            self._probing.on_refused(refusal.at, self.rate, before, refusal.wait_s, costly=costly)

    def resume(self) -> None:
        """Go on after refusals that taught nothing."""
        self._probing.resume()

    def snapshot(self, now: float) -> dict[str, Any]:
        """The learned state for JSON; instants as seconds ago."""
        return {
            "bucket": self._bucket.snapshot(now),
            "window": None if self._window is None else self._window.snapshot(now),
            "probing": self._probing.snapshot(now),
            "slowing": self._slowing.snapshot(now),
            "probed": self._probed,
            "told_s": self._told_s,
            "refused_ago": [ago(now, at) for at in self._refused],
            "shut_s": ahead(now, self._shut_until),
        }

    def restore(self, kept: ModelSnapshot, then: float, age_s: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self._bucket.restore(kept.bucket, then)
        self._window = None if kept.window is None else Window.restored(kept.window, then)
        self._probing.restore(kept.probing, then, age_s)
        self._slowing.restore(kept.slowing, then)
        self._probed, self._told_s = kept.probed, kept.told_s
        self._refused = [then - one for one in kept.refused_ago]
        self._shut_until = then + kept.shut_s

    def _learn(self, refusal: Refusal, admitted: Sequence[float], *, costly: bool) -> bool:
        """Correct the estimate; returns whether that was news of the rate."""
        if self._window is not None:
            self._learn_window(self._window, refusal, admitted)
        elif self._is_window(refusal, admitted):
            length = likely_length(self._counted(admitted), admitted, refusal.wait_s)
            self._window = Window(max(1, within(length, refusal.sent_at, admitted)), length)
            self._window.tell_reset(refusal.reset_at)
        elif refusal.again:
            self._bucket.rate = max(self._bucket.rate * LEAST_LEFT, SLOWEST)
        elif costly:
            self._learn_at_once(refusal.sent_at, admitted)
        else:
            return self._learn_bucket(refusal.sent_at, admitted)
        return True

    def _is_window(self, refusal: Refusal, admitted: Sequence[float]) -> bool:
        """Whether a bucket would have had a token again, or a wait is told that is none of a bucket."""
        if within(MINUTE_S, refusal.sent_at, admitted) < FEWEST_IN_WINDOW or self._is_constant(refusal):
            return False
        told_before = self._told_s is not None or refusal.wait_s % ROUND_S != 0
        return refusal.again or (refusal.wait_s > 1 + FAR / self.rate and told_before)

    def _is_constant(self, refusal: Refusal) -> bool:
        """A wait that is always the same says nothing."""
        return refusal.wait_s > 1 and refusal.told_s == self._told_s

    def _counted(self, admitted: Sequence[float]) -> list[float]:
        """The last refusals for which is known what was admitted in the minute before."""
        return [at for at in self._refused[-4:] if at - admitted[0] >= MINUTE_S] or self._refused[-1:]

    def _learn_bucket(self, sent_at: float, admitted: Sequence[float]) -> bool:
        bucket, gain = self._bucket, self._probing.gain(sent_at)
        bound = bucket.bound(sent_at, admitted)
        if bucket.was_full and bucket.is_smaller(sent_at, admitted, bound):
            return False
        if gain > 1 and (bucket.count >= SETTLED or bucket.was_full):
            self._learn_from_probe(bound, gain, bucket.since(admitted))
        else:
            self._learn_without_probe(bound)
        if not bucket.was_full and bucket.count >= FIRST_BURST:
            bucket.measure_burst()
        return True

    def _learn_from_probe(self, bound: float, gain: float, since: Sequence[float]) -> None:
        bucket = self._bucket
        learned = min(bucket.rate * gain, self._fastest, bound)
        if bucket.burst == 1:  # nothing is saved up, so what was admitted is sustained
            learned = min(learned, closest(since))
        bucket.rate = max(learned, bucket.rate * LEAST_LEFT)
        self._probed = True
        self._slowing.on_probed()

    def _learn_without_probe(self, bound: float) -> None:
        bucket = self._bucket
        # The probed rate did not even hold: with too small a burst, a probe makes the rate look too high.
        bucket.burst += self._probed and not bucket.was_full
        self._probed = False
        bucket.rate = max(self._slowing.slower(bucket.rate, bound, self._probing.successes), SLOWEST)

    def _learn_at_once(self, sent_at: float, admitted: Sequence[float]) -> None:
        """Go to a rate and a burst that are sure, since finding them would cost one long wait after the other."""
        bucket, gain = self._bucket, self._probing.gain(sent_at)
        if bucket.was_full and bucket.count < bucket.burst:
            bucket.is_smaller(sent_at, admitted, bound=0.0)
            return
        since = bucket.since(admitted)
        seen = len(since) / max(sent_at - since[0], 1 / self._fastest) if since else bucket.rate
        sure = seen * (1 - UNSEEN_BURST / max(len(since), 2 * UNSEEN_BURST))
        if not self._probing.throttled:
            bucket.rate = min(sure, self._fastest)
        elif gain > 1:
            bucket.rate = min(bucket.rate * gain, max(sure, bucket.rate), self._fastest)
        else:
            bucket.rate = max(min(sure, bucket.rate * (1 - CUT)), bucket.rate * LEAST_LEFT)
        bucket.rate = max(bucket.rate, SLOWEST)

    def _learn_window(self, window: Window, refusal: Refusal, admitted: Sequence[float]) -> None:
        if refusal.again:
            window.length = likely_length(self._counted(admitted), admitted, max(window.length, refusal.wait_s))
            window.on_refused_again(refusal.sent_at, admitted, refusal.reset_at)
            if window.is_too_small:
                self._forget_window(window, refusal, admitted)
            return
        shut_until = None
        if not self._is_constant(refusal):
            shut_until = window.on_refused(refusal.sent_at, admitted, refusal.reset_at)
        if shut_until is None or window.is_too_small:
            self._forget_window(window, refusal, admitted)
        else:
            self._shut_until = shut_until

    def _forget_window(self, window: Window, refusal: Refusal, admitted: Sequence[float]) -> None:
        left = 1 - CUT if self._probing.successes >= AT_ONCE else LEAST_LEFT
        found = 0.0
        if self._probing.gain(refusal.sent_at) > 1:  # the probe went on where the window should have been used up
            found = min(self.pace(refusal.sent_at), self._bucket.bound(refusal.sent_at, admitted))
        self._bucket.rate = max(window.rate * left, found, SLOWEST)
        self._window = None
        if self._bucket.burst > 1:  # with the rate in doubt, strict spacing would look like a large burst
            self._bucket.measure_burst()

    def _keep_above(self, floor: float) -> None:
        if self.rate < floor:
            self._window = None
            self._bucket.rate = floor
