"""A fleet in virtual time over the real statements: claims, hand-overs, the dispatcher and the sweep are PostgreSQL's.

Only what takes time is made: a slice's work, and the queue, which is first in, first out as the broker's is.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

from sqlalchemy import text

from pdpp_worker.dispatch import dispatch
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, run_slices, runs
from pdpp_worker.store.engine import Database
from pdpp_worker.store.run_end import RunEnd, end_run
from pdpp_worker.store.run_slices import Slice
from pdpp_worker.store.runs import DueRun

SLICE_S, TICK_S, LONG_S = 60.0, 30.0, 1e6

_ELAPSE = """
    UPDATE runs SET not_before = not_before - :s * interval '1 second', rung_at = rung_at - :s * interval '1 second';
    UPDATE schedules SET next_run_at = next_run_at - :s * interval '1 second'
"""


@dataclass
class Hall:
    """Threads that serve a queue, and a dispatcher that ticks."""

    settings: Settings
    db: Database
    threads: int
    work_s: dict[int, float] = field(default_factory=dict)
    """Connection to the seconds of work that it has left; without an entry its slices fail at once."""
    now: float = 0.0
    done_at: dict[int, float] = field(default_factory=dict)
    served_s: dict[int, float] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)
    """The runs that the dispatcher told of."""
    most_waiting: int = 0

    def __post_init__(self) -> None:
        self._queue: deque[DueRun] = deque()
        self._working: list[tuple[float, int, Slice]] = []
        self._next_tick = 0.0

    def add(self, name: str, work_s: float | None = None, *, every_s: float = LONG_S) -> int:
        """A connection with a walk that is due now and takes so long."""
        with self.db.begin() as connection:
            added = connections.add(connection, name, "scripted", {}, {})
            connection.execute(
                text("INSERT INTO schedules (connection_id, every_s, next_run_at) VALUES (:c, :every, now())"),
                {"c": added, "every": every_s},
            )
        if work_s is not None:
            self.work_s[added] = work_s
        return added

    def pass_time(self, until_s: float) -> None:
        """Let the fleet work until this instant."""
        while self.now < until_s:
            self._start_slices()
            next_end = self._working[0][0] if self._working else LONG_S
            self._elapse(min(next_end, self._next_tick, until_s))
            while self._working and self._working[0][0] <= self.now:
                self._end_slice(heapq.heappop(self._working)[2])
            if self.now >= self._next_tick:
                self._tick()

    def _elapse(self, until: float) -> None:
        if until > self.now:
            with self.db.begin() as connection:
                for statement in _ELAPSE.split(";"):
                    connection.execute(text(statement), {"s": until - self.now})
        self.now = max(self.now, until)

    def _tick(self) -> None:
        self._next_tick = self.now + TICK_S
        for run in sweep_transient(self.settings, self.db):
            self._notify_once(run)
        waiting = {"collect"} if self._queue else set()
        due = dispatch(self.settings, self.db, waiting)
        self.told += [run.run_id for run in due]
        self._queue += due
        self.most_waiting = max(self.most_waiting, len(self._queue))

    def _notify_once(self, due: DueRun) -> None:
        marked = self.db.transact(lambda connection: runs.mark_notified(connection, due))
        if marked is not None:
            self._queue.append(marked)

    def _start_slices(self) -> None:
        while self._queue and len(self._working) < self.threads:
            claimed = self._claim(self._queue.popleft())
            if claimed is not None:
                takes = min(SLICE_S, self.work_s.get(claimed.connection.id, 0.1))
                self.served_s[claimed.connection.id] = self.served_s.get(claimed.connection.id, 0.0) + takes
                heapq.heappush(self._working, (self.now + takes, claimed.claim.run_id, claimed))

    def _claim(self, due: DueRun) -> Slice | None:
        return self.db.transact(lambda c: run_slices.claim_slice(c, due.run_id, "hall", LONG_S, due.turn))

    def _end_slice(self, claimed: Slice) -> None:
        one = claimed.connection.id
        left = self.work_s.get(one)
        if left is not None and left > SLICE_S:
            self.work_s[one] = left - SLICE_S
            self.db.transact(lambda c: run_slices.continue_later(c, claimed.claim, 0.0, claimed.phase, {}))
            self._notify_once(DueRun(claimed.claim.run_id, "scripted"))
            return
        self.done_at.setdefault(one, self.now)
        end_run(self.db, claimed.claim, ["items"], RunEnd(walked=False, ended_well=left is not None, error="failed"))
