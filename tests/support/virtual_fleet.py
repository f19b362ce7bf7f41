"""One connection of a fleet in virtual time: pacer, law and time limits are real; clock, Redis and dispatcher are made.

Whatever a machine can do to a request that waits can be done here at a chosen instant: wake it late, kill its worker,
stop its slice, empty Redis, step its clock, lose a bell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pdpp_worker.errors import ProviderError
from pdpp_worker.pacing.bucket import LONGEST_HOLD_S, Bucket
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.runtime.time_limits import SliceEnded, TimeLimits

CEILING_MS = 250.0
SLICE_S, DISPATCH_S, LEASE_S, BELL_S = 60.0, 30.0, 30.0, 0.05
START = 1_000_000.0
MOST_SLICES = 100
"""Slices that one request may take; a bound for a fleet that stands still."""


class Killed(BaseException):
    """The worker died: what its rate model had learned since it was last kept is lost, and so is its lease's rest."""


class VirtualBucket(Bucket):
    """The bucket as the scripts have it, over a clock that can step and a memory that can be lost."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.offset_s = 0.0
        self.lost = 0
        """How often a request has met a bucket that was lost, or an instant that could not be."""
        self._kept: dict[str, float] = {}
        self._said: dict[str, float] = {}

    @property
    def now(self) -> float:
        """Redis' own time, s."""
        return self._clock() + self.offset_s

    def keep(self, part: str, lane: str, at: float) -> None:
        """Write a field, an instant of Redis' own time."""
        self._kept[self._key(part, lane)] = at
        self._said[self._key(part, lane)] = self.now

    def flush(self) -> None:
        """Empty Redis."""
        self._kept.clear()

    def take(self, spacing_ms: float, ceiling_ms: float, lane: str = "") -> float:
        """See take.lua."""
        now = self.now
        last = self._instant("last", "", now)
        if last is None:
            self.lost += 1
            self._note(lane)
            return max(spacing_ms, ceiling_ms) / 1000
        of_lane = self._instant("last", lane, now) or 0.0
        holds = [self._held_until(one) for one in ("", lane)]
        due = max(last + ceiling_ms / 1000, of_lane + spacing_ms / 1000, *holds)
        if due - now > 1e-6:  # the scripts count whole microseconds
            return due - now
        self._note(lane)
        return 0.0

    def hold(self, delay_s: float, lane: str = "") -> float:
        """See hold.lua."""
        latest = self.now + LONGEST_HOLD_S
        until = max(min(self.now + delay_s, latest), self._held_until(lane))
        self.keep("hold", lane, until)
        return until - self.now

    def held_s(self, lane: str = "") -> float:
        """How long the hold that is in force lasts, s."""
        return max(0.0, self._held_until(lane) - self.now)

    def _held_until(self, lane: str) -> float:
        was_said = self._said.get(self._key("hold", lane), 0.0) <= self.now
        return (was_said and self._instant("hold", lane, self.now + LONGEST_HOLD_S)) or 0.0

    def _instant(self, part: str, lane: str, latest: float) -> float | None:
        at = self._kept.get(self._key(part, lane))
        return at if at is not None and at <= latest else None

    def _note(self, lane: str) -> None:
        for one in ("", lane):
            self.keep("last", one, self.now)

    def _key(self, part: str, lane: str = "") -> str:
        return f"{part}:{lane}"


@dataclass
class Sent:
    """One request: when the connector wanted it, when it went out, and what may explain the time between."""

    wanted_at: float
    held_until: float
    """The latest end of a hold that was in force meanwhile; the instant of the wish if there was none."""
    interval_s: float
    """The longest interval that the rate model had learned meanwhile."""
    at: float
    late_s: float
    """The accidents of the machine: late wake-ups, hand-overs, worker deaths."""
    lost: int
    """Lost buckets that it met."""

    @property
    def unexplained_s(self) -> float:
        """The rest of the wait."""
        explained = max(self.wanted_at, self.held_until) + self.interval_s * (1 + self.lost) + self.late_s
        return self.at - explained


@dataclass
class Mischief:
    """The accident of one request while it waits."""

    late_s: float = 0.0
    dies: bool = False
    stops: bool = False
    loses_bell: bool = False
    empties_redis: bool = False
    clock_steps_s: float = 0.0


@dataclass
class Fleet:
    """Workers, dispatcher, PostgreSQL and Redis, as far as one connection sees them."""

    ceiling_ms: float = CEILING_MS
    now: float = START
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bucket = VirtualBucket(lambda: self.now)
        self._kept: tuple[dict[str, Any], float] | None = None
        self._late_s = 0.0
        self._mischief: list[Mischief] = []
        self._begin()

    def request(self, answer: Callable[[float], ProviderError | None], *mischief: Mischief, lane: str = "") -> Sent:
        """Send one request, in as many slices as it takes; `answer` says how it goes, from the instant of its send."""
        self._mischief = list(mischief)
        self._late_s, lost = 0.0, self.bucket.lost
        sent = Sent(self.now, self.now, 0.0, 0.0, 0.0, 0)
        for _ in range(MOST_SLICES):
            if sent.at:
                break
            self._note_waits(sent, lane)
            with self._surviving(), self.pacer.request(lane=lane):
                self.pacer.note_send()
                self._note_waits(sent, lane)
                sent.at, sent.late_s, sent.lost = self.now, self._late_s, self.bucket.lost - lost
                self._take(answer(self.now))
        assert sent.at, f"not sent in {MOST_SLICES} slices, {self.now - sent.wanted_at:.0f} s"
        self.sent.append(sent)
        return sent

    def rest(self, seconds: float) -> None:
        """The run ends; the next one begins later."""
        self._keep()
        self.now += seconds
        self._begin()

    def _begin(self) -> None:
        self.lanes = Lanes(self.ceiling_ms)
        if self._kept is not None:
            snapshot, at = self._kept
            assert self.lanes.restore(snapshot, self.now, self.now - at)
        self.limits = TimeLimits(SLICE_S, clock=self._clock)
        self.pacer = Pacer(
            "virtual", self.bucket, self.lanes, self.ceiling_ms, self._wait, self._told, clock=self._clock
        )

    def _clock(self) -> float:
        return self.now

    def _take(self, failure: ProviderError | None) -> None:
        self.limits.progressed = True
        if failure is not None:
            raise failure

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Whatever ends a slice is followed by the next one."""
        try:
            yield
        except ProviderError:
            pass
        except SliceEnded as over:
            self._keep()
            self.now += over.pause_s
            self._pass(DISPATCH_S if self._next_mischief().loses_bell else BELL_S)
            self._begin()
        except Killed:
            self._pass(LEASE_S + DISPATCH_S)
            self._begin()

    def _keep(self) -> None:
        if self.pacer.counts.sent:
            self._kept = self.lanes.snapshot(self.now), self.now
            self.pacer.close()

    def _told(self, *_: object) -> None:
        self._kept = self.lanes.snapshot(self.now), self.now

    def _wait(self, instant: float, hold: Hold | None) -> None:
        self.limits.check_wait(instant, hold)
        if instant <= self.now:
            return
        mischief = self._next_mischief()
        if mischief.empties_redis:
            self.bucket.flush()
        self.bucket.offset_s += mischief.clock_steps_s
        if mischief.stops or mischief.dies:
            self.now = (self.now + instant) / 2
            raise Killed if mischief.dies else SliceEnded
        self.now = instant
        self._pass(mischief.late_s)

    def _next_mischief(self) -> Mischief:
        return self._mischief.pop() if self._mischief else Mischief()

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self._late_s += seconds

    def _note_waits(self, sent: Sent, lane: str) -> None:
        hold = self.lanes.hold(self.now, lane)
        held = max(self.bucket.held_s(), self.bucket.held_s(lane))
        sent.held_until = max(sent.held_until, self.now + held, self.now if hold is None else hold.until)
        sent.interval_s = max(sent.interval_s, self.lanes.interval_ms(self.now, lane) * 1.01 / 1000 + 0.02)
