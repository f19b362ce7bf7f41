"""When a rate is held, and when and how far it is probed."""

from __future__ import annotations

import math
from typing import Any

from pdpp_worker.pacing.snapshot import ProbingSnapshot, ahead

RAMP = 12
"""Successes in which the rate doubles before the first refusal."""
PATIENT, PATIENT_S = 200, 75.0
"""Successes at a rate before it is probed: so many, or what so many seconds admit if that is more."""
LEAST_PATIENT = 40
"""After a change of the rate, and where refusals come without probing: what did not help has to be undone soon."""
SOON = 60
"""A refusal without probing after fewer successes halves the patience: what was cut may have been cut too far."""
PRICE = 30.0
"""A refusal that costs a told wait is risked once in so many such waits."""
STEP, STEPS = 0.01, 15.0
"""A probe goes STEP * (exp(n / STEPS) - 1) above the rate after n successes."""
STEEPEST = 10.0
RISEN, FALLEN = 1.1, 0.8
"""Changes of the rate after which it is soon probed again."""
CHANGED, WARY, WARY_S = 0.03, 0.95, 61.0
"""A change that leaves the rate in doubt: a share of it is used while a second refusal would cost a long wait."""
IDLE_S = 600.0
"""A pause after which a rate in doubt is probed at once."""


class Probing:
    """The place between two probes. Rates are requests/s, instants s."""

    def __init__(self) -> None:
        self.throttled = False
        """Whether a refusal has ended the ramp."""
        self.successes = 0
        """Since the last refusal."""
        self._patience = 0
        self._doubt_until = -math.inf

    def gain(self, now: float) -> float:
        """How far the pace is above the rate."""
        return WARY if self.throttled and now < self._doubt_until else self._gain(self.successes)

    def on_success(self, sent_at: float) -> None:
        """One more success; nothing is probed while the rate is in doubt."""
        self.successes += 1
        if sent_at < self._doubt_until:
            self._patience = max(self._patience, self.successes)

    def on_refused(self, now: float, rate: float, before: float, told_s: float, *, costly: bool) -> None:
        """Begin anew at `rate`, which was `before`; a `costly` refusal holds for `told_s`."""
        change = rate / before
        patient = round(max(PATIENT, PATIENT_S * rate, PRICE * told_s * rate))
        if costly:
            self._patience = patient
        elif not self.throttled or not FALLEN < change < RISEN:
            self._patience = LEAST_PATIENT
        elif self._gain(self.successes) > 1:
            self._patience = patient
        elif self.successes < SOON:
            self._patience = max(LEAST_PATIENT, min(patient, self._patience) // 2)
        self.throttled, self.successes = True, 0
        self._doubt_until = now + WARY_S if abs(change - 1) > CHANGED else -math.inf

    def resume(self) -> None:
        """Go on after refusals that taught nothing."""
        if self.throttled:
            self.successes = 0
        self._doubt_until = -math.inf

    def snapshot(self, now: float) -> dict[str, Any]:
        """The state that is kept for the next run."""
        return {
            "throttled": self.throttled,
            "successes": self.successes,
            "patience": self._patience,
            "doubt_s": ahead(now, self._doubt_until),
        }

    def restore(self, kept: ProbingSnapshot, then: float, age_s: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self.throttled, self.successes, self._patience = kept.throttled, kept.successes, kept.patience
        self._doubt_until = then + kept.doubt_s
        if kept.doubt_s and age_s > IDLE_S:
            self.successes = max(self.successes, self._patience)

    def _gain(self, successes: int) -> float:
        if not self.throttled:
            return math.exp2(min(successes / RAMP, STEEPEST))
        over = successes - self._patience
        return 1 + STEP * math.expm1(min(over / STEPS, STEEPEST)) if over > 0 else 1.0
