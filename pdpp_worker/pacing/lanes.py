"""The lanes of a connection: groups of requests with a rate of their own, under one ceiling and one allowance.

One request is in flight at a time, whatever its lane. A connection without lanes has one, with an empty name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pdpp_worker.pacing.allowance import WINDOW_S, Allowance
from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.controller import Controller
from pdpp_worker.pacing.daily import DailyBytes
from pdpp_worker.pacing.hold import Hold, longest
from pdpp_worker.pacing.outage import Outage
from pdpp_worker.pacing.snapshot import VERSION, SharedSnapshot, read


class Lanes:
    """One controller a lane, made when the lane is first named. Instants are s, intervals ms."""

    def __init__(
        self,
        ceiling_ms: float,
        cold_start_ms: float = 1000.0,
        refusal_window_s: float = WINDOW_S,
        *,
        daily_bytes: int | None = None,
    ) -> None:
        """`daily_bytes`: the most that all lanes together may receive in a day; None: no limit."""
        self.day = DailyBytes(daily_bytes)
        self._ceiling_ms, self._cold_start_ms = ceiling_ms, cold_start_ms
        self._allowance, self._failures = Allowance(refusal_window_s), Outage("failed")
        self._lanes: dict[str, Controller] = {}
        self._sent_at = -math.inf

    @property
    def failed_in_a_row(self) -> int:
        """How many requests have failed at the provider or on the way since the last that was answered."""
        return self._failures.in_a_row

    def names(self) -> Sequence[str]:
        """The lanes that were used."""
        return list(self._lanes)

    def interval_ms(self, now: float, lane: str = "") -> float:
        """The interval between two requests of the lane, as learned; the ceiling at least."""
        return self._lane(lane).interval_ms(now)

    def quota_per_s(self, lane: str = "") -> float | None:
        """The rate that the provider is estimated to sustain in the lane; None while no refusal has taught it."""
        return self._lane(lane).quota_per_s

    def spacing_ms(self, now: float, lane: str = "") -> float:
        """How far the next request of the lane stays from the last one in it: from the ceiling to the interval."""
        return self._lane(lane).spacing_ms(now)

    def hold(self, now: float, lane: str = "") -> Hold | None:
        """The hold on the next request of the lane beyond its interval, with its reason; None if there is none."""
        return longest((self._lane(lane).hold(now), self.day.hold(now)), now)

    def next_send(self, now: float, lane: str = "") -> float:
        """The earliest instant of the lane's next request; the ceiling counts from the last one in any lane."""
        hold = self.day.hold(now)
        allowed = now if hold is None else hold.until
        return max(self._lane(lane).next_send(now), min(self._sent_at, now) + self._ceiling_ms / 1000, allowed)

    def on_send(self, now: float, lane: str = "") -> None:
        """A request goes out, retries and redirects included."""
        self._sent_at = now
        self._lane(lane).on_send(now)

    def on_announced(self, now: float, limits: Sequence[Announced], lane: str = "") -> None:
        """An answer tells what is left of the lane's limits; called before its outcome."""
        self._lane(lane).on_announced(now, limits)

    def on_success(self, now: float, lane: str = "") -> None:
        """Note an answer, whatever it is, that neither refuses for the rate nor comes of a failing server."""
        self._lane(lane).on_success(now)

    def on_upstream_error(self, now: float, lane: str = "", *, weight: float = 1.0) -> None:
        """Note a failure at the provider or on the way; three in a row, of any lane at full weight, are an outage."""
        self._lane(lane).on_upstream_error(now, weight=weight)

    def on_throttle(self, now: float, retry_after_s: float | None = None, lane: str = "") -> None:
        """Note a refusal for the rate; `retry_after_s`, the wait that the provider asks for, holds this lane alone."""
        self._lane(lane).on_throttle(now, retry_after_s)

    def snapshot(self, now: float) -> dict[str, Any]:
        """The learned state for JSON; instants as seconds ago."""
        return {
            "version": VERSION,
            "shared": {
                "refused_ago": self._allowance.snapshot(now),
                "failures": self._failures.snapshot(now),
                "received_ago": self.day.snapshot(now),
            },
            "lanes": {name: lane.lane_snapshot(now) for name, lane in self._lanes.items()},
        }

    def restore(self, snapshot: object, now: float, age_s: float) -> bool:
        """Go on from a snapshot taken `age_s` ago, or from one of a single controller, as its unnamed lane.

        Returns whether it could be read; what cannot, as another version's, is a cold start.
        """
        try:
            kept = read(snapshot)
        except ValueError:
            return False
        self._restore_shared(kept.shared, now - max(0.0, age_s))
        for name, lane in kept.lanes.items():
            self._lane(name).restore_lane(lane, now, age_s)
        ago = [lane.sent_ago for lane in kept.lanes.values() if lane.sent_ago is not None]
        self._sent_at = now - max(0.0, age_s) - min(ago, default=math.inf)
        return True

    def _restore_shared(self, kept: SharedSnapshot, then: float) -> None:
        self._allowance.restore(kept.refused_ago, then)
        self._failures.restore(kept.failures, then)
        self.day.restore(kept.received_ago, then)

    def _lane(self, name: str) -> Controller:
        if name not in self._lanes:
            self._lanes[name] = Controller(
                self._ceiling_ms, self._cold_start_ms, allowance=self._allowance, failures=self._failures
            )
        return self._lanes[name]
