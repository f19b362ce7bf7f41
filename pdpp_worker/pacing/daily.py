"""The bytes that an account may receive in a day, where its provider limits those and not the number of requests.

The day is the last 24 hours: no provider tells when its own day begins. Bytes that came within a quarter of an hour
leave it together. Pure: every instant is passed in, as seconds on one clock that never goes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.snapshot import ago

DAY_S = 24 * 3600.0
TOGETHER_S = 900.0


def used_later(told: Mapping[str, Any], age_s: float) -> int:
    """The bytes of the last day, as `DailyBytes.told` told them `age_s` ago."""
    return sum(count for _, last_ago, count in told["received_ago"] if last_ago + age_s < DAY_S)


@dataclass
class _Received:
    """Bytes that came from `first` to `last`, s."""

    first: float
    last: float
    count: int


class DailyBytes:
    """Counts received bytes; holds requests back once there are `most` (None: no limit)."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self._received: deque[_Received] = deque()

    def used(self, now: float) -> int:
        """The bytes of the last day."""
        while self._received and self._received[0].last + DAY_S <= now:
            self._received.popleft()
        return sum(one.count for one in self._received)

    def on_received(self, now: float, count: int) -> None:
        """Bytes came."""
        if self.most is None:
            return
        if self._received and now - self._received[-1].first < TOGETHER_S:
            self._received[-1].last = now
            self._received[-1].count += count
        else:
            self._received.append(_Received(now, now, count))

    def hold(self, now: float) -> Hold | None:
        """Until so many have left the day that there are fewer than the limit; None while there are."""
        if self.most is None or (left := self.used(now)) < self.most:
            return None
        until = now
        for one in self._received:
            until, left = one.last + DAY_S, left - one.count
            if left < self.most:
                break
        return Hold(until, f"the day's {self.most / 1e6:,.0f} MB are used")

    def told(self, now: float) -> dict[str, Any]:
        """The limit and the received bytes, for owners; see `used_later`."""
        return {"most": self.most, "received_ago": self.snapshot(now)}

    def snapshot(self, now: float) -> list[tuple[float, float, int]]:
        """The bytes of the last day: from and to, s ago, and how many."""
        self.used(now)
        return [(ago(now, one.first), ago(now, one.last), one.count) for one in self._received]

    def restore(self, received_ago: Sequence[tuple[float, float, int]], then: float) -> None:
        """Go on from a snapshot that was taken at `then`."""
        self._received.extend(_Received(then - first, then - last, count) for first, last, count in received_ago)
