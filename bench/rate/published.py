"""The pacing law of the PDPP reference implementation, as published there; times in milliseconds.

A peer, not a model: its intervals are whole numbers, its Retry-After teaches it nothing, and the credit of an idle
time can bring two requests closer together than its own minimum. `vectors.json` holds what the original answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

RECOVERY_GAIN = 0.1
RECOVERY_CAP = 8.0
THROTTLE_FACTOR = 1.5


@dataclass(slots=True)
class PublishedPacing:
    """Rates rise by a constant per success; a bare refusal lengthens the interval by half, at least to the initial."""

    initial: float = 1000.0
    minimum: float = 0.0
    maximum: float = math.inf
    additive: float = 100.0
    restored: float | None = None
    interval: float = field(init=False)
    _arrival: float | None = field(default=None, init=False)
    _retry_after: float | None = field(default=None, init=False)
    _succeeded_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.interval = self.initial if self.restored is None else max(self.minimum, self.restored)

    def next_delay(self, now: float) -> float:
        """The wait of the request that is admitted now."""
        arrival = now + self.interval
        if self._arrival is not None:
            arrival = max(self._arrival, now - 2 * self.initial) + self.interval
        delay = max(0.0, arrival - now, self._take_retry_after())
        self._arrival = max(arrival, now + delay if delay else -math.inf, now - self.interval + self.minimum)
        return delay

    def on_success(self, now: float) -> None:
        """Raise the rate by the constant; unwind a deep back-off faster, the more so after a long time."""
        rate = 1 / self.interval + 1 / (self.initial - self.additive) - 1 / self.initial
        self.interval = max(self.minimum, _rounded(1 / rate) - self._recovery(now))
        self._succeeded_at = now

    def on_throttle(self, retry_after: float | None) -> None:
        """Obey Retry-After once, else slow down."""
        if retry_after is not None:
            self._retry_after = retry_after
            return
        self.interval = min(self.maximum, max(self.initial, self.interval * THROTTLE_FACTOR))

    def _take_retry_after(self) -> float:
        wait, self._retry_after = self._retry_after, None
        return wait or 0.0

    def _recovery(self, now: float) -> int:
        excess = max(0.0, self.interval - self.initial)
        elapsed = self.initial if self._succeeded_at is None else now - self._succeeded_at
        return math.floor(excess * RECOVERY_GAIN * min(RECOVERY_CAP, max(1.0, elapsed / self.initial)))


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
