"""The rate of one lane, learned from what the provider refuses. `docs/rate.md` explains the model.

Pure: no input or output, and every instant is passed in, as seconds on one clock that never goes back. One request is
in flight at a time: `next_send`, `on_send` when it goes out, then one of the outcomes. The safety rules are here; the
estimate of what the provider admits is the model's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from pdpp_worker.pacing import outage
from pdpp_worker.pacing.allowance import WINDOW_S, Allowance
from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.announcement import Announcement
from pdpp_worker.pacing.hold import Hold, longest
from pdpp_worker.pacing.model import Model, Refusal
from pdpp_worker.pacing.outage import Outage
from pdpp_worker.pacing.snapshot import (
    LONGEST_HOLD_S,
    SLOWEST,
    VERSION,
    LaneSnapshot,
    SharedSnapshot,
    Snapshot,
    ago,
    ahead,
    read,
)

FRESH_S = 6 * 3600.0
"""A snapshot that is older says nothing about the provider of today."""
LOG_SIZE = 1000
"""A minute at the ceilings that connectors set, and more than one patience."""


class Controller:
    """Says when the next request may be sent. Rates are requests/s, intervals milliseconds, both floats.

    Lanes of one connection share an allowance of refusals and the count of what fails.
    """

    def __init__(
        self,
        ceiling_ms: float,
        cold_start_ms: float = 1000.0,
        refusal_window_s: float = WINDOW_S,
        *,
        allowance: Allowance | None = None,
        failures: Outage | None = None,
    ) -> None:
        self._ceiling_s = ceiling_ms / 1000
        self._allowance = allowance or Allowance(refusal_window_s)
        self._failures = failures or Outage("failed")
        self._refusals = Outage("refused")
        self._model = Model(max(min(1000 / cold_start_ms, 1 / self._ceiling_s), SLOWEST), 1 / self._ceiling_s)
        self._before = self._model
        self._announcement = Announcement()
        self._admitted: deque[float] = deque(maxlen=LOG_SIZE)
        self._sent_at = self._asked_until = -math.inf
        self._in_flight = False

    @property
    def rate(self) -> float:
        """The rate that the provider is estimated to sustain, requests/s."""
        return self._model.rate

    @property
    def quota_per_s(self) -> float | None:
        """The same, or None while no refusal has taught it."""
        return self._model.quota_per_s

    def interval_ms(self, now: float) -> float:
        """The interval between two requests, as learned; the ceiling at least."""
        announced_s = self._announcement.interval_s(now)
        return max(self._ceiling_s, announced_s or 1 / self._model.pace(now)) * 1000

    def spacing_ms(self, now: float) -> float:
        """How far the next request stays from the last one: from the ceiling, where credit is left, to the interval."""
        interval_ms = self.interval_ms(now)
        if self._announcement.interval_s(now) is not None:
            return self._ceiling_s * 1000
        if not self._admitted:
            return interval_ms
        return min(interval_ms, max(self._ceiling_s, self._due(now).until - self._sent_at) * 1000)

    def hold(self, now: float) -> Hold | None:
        """The hold on the next request beyond its interval, with its reason; None if there is none."""
        announced = self._announcement.hold(now)
        asked = Hold(self._asked_until, "asked to pause (Retry-After)")
        spent = self._due(now) if self._admitted and self._announcement.interval_s(now) is None else None
        if spent is not None and spent.until <= max(now, self._sent_at + self.interval_ms(now) / 1000):
            spent = None
        return longest(
            (announced, asked, spent, self._allowance.hold(), self._refusals.hold(), self._failures.hold()), now
        )

    def next_send(self, now: float) -> float:
        """The earliest instant of the next request: after the last one and the hold, if there is one."""
        hold = self.hold(now)
        due = min(self._sent_at, now) + self.spacing_ms(now) / 1000
        return max(now, due, now if hold is None else hold.until)

    def on_send(self, now: float) -> None:
        """A request goes out, retries and redirects included."""
        self._model.on_send(now)
        self._announcement.on_send(now)
        self._sent_at, self._in_flight = now, True

    def on_announced(self, now: float, limits: Sequence[Announced]) -> None:
        """An answer tells what is left; called before its outcome."""
        self._announcement.on_announced(now, limits)

    def on_success(self, now: float) -> None:  # noqa: ARG002 - an admission counts from its send
        """Note an answer, whatever it is, that neither refuses for the rate nor comes of a failing server."""
        self._admit()
        self._model.on_success(self._sent_at)
        self._announcement.on_success()
        self._refusals.on_success()
        self._failures.on_success()

    def on_upstream_error(self, now: float, *, weight: float = 1.0) -> None:
        """Note a failure at the provider or on the way: no rate signal, and after three in a row an outage.

        One that was to be expected says less of the provider, as its `weight` tells: from 0 to 1.
        """
        self._admit()
        self._failures.on_failure(now, weight)

    def on_throttle(self, now: float, retry_after_s: float | None = None) -> None:
        """Note a refusal for the rate; `retry_after_s` is the wait that the provider asks for, obeyed up to a day.

        The third refusal in a row is an outage or a block, so what the first two taught is taken back.
        """
        if not self._in_flight:
            self.on_send(now)
        self._in_flight = False
        self._allowance.on_refused(now)
        self._announcement.on_refused(now)
        if retry_after_s is not None:
            self._asked_until = max(self._asked_until, now + min(retry_after_s, LONGEST_HOLD_S))
        if self._refusals.on_failure(now):
            if self._refusals.in_a_row == outage.AFTER:
                self._model = self._before
                self._model.resume()
            return
        again = self._refusals.in_a_row > 1
        if not again:
            self._before = deepcopy(self._model)
        self._model.on_refused(Refusal(self._sent_at, now, retry_after_s, again), list(self._admitted))

    def snapshot(self, now: float) -> dict[str, Any]:
        """The learned state for JSON; instants as seconds ago."""
        return {"version": VERSION, "shared": self.shared_snapshot(now), "lanes": {"": self.lane_snapshot(now)}}

    def restore(self, snapshot: object, now: float, age_s: float) -> bool:
        """Go on from a snapshot taken `age_s` ago: with its refusals and holds, and what it learned unless stale.

        Returns whether it could be read; what cannot, as another version's, is a cold start.
        """
        try:
            kept = read(snapshot)
            lane = _only(kept)
        except ValueError:
            return False
        self.restore_shared(kept.shared, now, age_s)
        self.restore_lane(lane, now, age_s)
        return True

    def shared_snapshot(self, now: float) -> dict[str, Any]:
        """The state that the lanes of a connection share."""
        return {"refused_ago": self._allowance.snapshot(now), "failures": self._failures.snapshot(now)}

    def lane_snapshot(self, now: float) -> dict[str, Any]:
        """The state of this lane alone."""
        is_open = 0 < self._refusals.in_a_row < outage.AFTER
        return {
            "model": self._model.snapshot(now),
            "before": self._before.snapshot(now) if is_open else None,
            "announcement": self._announcement.snapshot(now),
            "admitted_ago": [ago(now, at) for at in self._admitted],
            "sent_ago": None if self._sent_at == -math.inf else max(0.0, now - self._sent_at),
            "asked_s": ahead(now, self._asked_until),
            "refusals": self._refusals.snapshot(now),
        }

    def restore_shared(self, kept: SharedSnapshot, now: float, age_s: float) -> None:
        """Go on from what the lanes had in common `age_s` ago."""
        then = now - max(0.0, age_s)  # the clock that tells the age can be set back
        self._allowance.restore(kept.refused_ago, then)
        self._failures.restore(kept.failures, then)

    def restore_lane(self, kept: LaneSnapshot, now: float, age_s: float) -> None:
        """Go on from what was this lane's own `age_s` ago."""
        then = now - max(0.0, age_s)
        self._sent_at = -math.inf if kept.sent_ago is None else then - kept.sent_ago
        self._asked_until = then + kept.asked_s
        self._refusals.restore(kept.refusals, then)
        self._announcement.restore(kept.announcement, then)
        if age_s > FRESH_S:
            return
        self._model.restore(kept.model, then, age_s)
        self._before = self._model
        if kept.before is not None:
            self._before = deepcopy(self._model)
            self._before.restore(kept.before, then, age_s)
        self._admitted.extend(then - one for one in kept.admitted_ago)

    def _due(self, now: float) -> Hold:
        return self._model.due(now, self._sent_at, self._admitted)

    def _admit(self) -> None:
        if self._in_flight:  # what failed before it was sent was not admitted
            self._in_flight = False
            self._admitted.append(self._sent_at)
            self._model.on_admitted()


def _only(kept: Snapshot) -> LaneSnapshot:
    if set(kept.lanes) != {""}:
        raise ValueError("no snapshot of a single lane")
    return kept.lanes[""]
