"""How many refusals a connection may earn in a minute, whatever earned them: its lanes share one allowance."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.snapshot import ago

ALLOWED = 2
WINDOW_S = 60.0
MARGIN_S = 1.0
"""Added to the window: the provider's clock need not agree with ours."""


class Allowance:
    """At most `ALLOWED` refusals in any window of `window_s` seconds, kept by waiting."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s + MARGIN_S
        self._refused_at: deque[float] = deque(maxlen=ALLOWED)
        self._reason = "two refusals in a minute" if window_s == WINDOW_S else f"two refusals in {window_s:g} s"

    def on_refused(self, now: float) -> None:
        """A request was refused."""
        self._refused_at.append(now)

    def hold(self) -> Hold | None:
        """Until the older of two refusals has left the window; None while one more may come."""
        if len(self._refused_at) < ALLOWED:
            return None
        return Hold(self._refused_at[0] + self._window_s, self._reason)

    def left_at(self) -> float:
        """When the last refusal leaves the window; minus infinity before any."""
        return self._refused_at[-1] + self._window_s if self._refused_at else float("-inf")

    def snapshot(self, now: float) -> list[float]:
        """The refusals, s ago."""
        return [ago(now, at) for at in self._refused_at]

    def restore(self, refused_ago: Sequence[float], then: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self._refused_at.extend(then - one for one in refused_ago)
