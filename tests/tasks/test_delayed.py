"""Workers are told of a paused run when its pause is over."""

from __future__ import annotations

import queue

from pdpp_worker.store.runs import DueRun
from pdpp_worker.tasks.delayed import DelayedNotifier
from tests.support.waiting import PATIENCE_S


def recording() -> tuple[DelayedNotifier, queue.Queue[int]]:
    """A notifier, and the runs that it has told of."""
    told: queue.Queue[int] = queue.Queue()
    return DelayedNotifier(lambda due: told.put(due.run_id)), told


def test_runs_are_told_in_the_order_of_their_instants() -> None:
    notifier, told = recording()

    for number, pause_s in ((1, 0.3), (2, 0.1), (3, 0.2)):
        notifier.schedule(DueRun(number, "scripted"), pause_s)

    assert [told.get(timeout=PATIENCE_S) for _ in range(3)] == [2, 3, 1]


def test_a_long_pause_delays_no_other_run() -> None:
    notifier, told = recording()

    notifier.schedule(DueRun(1, "scripted"), 86_400.0)
    notifier.schedule(DueRun(2, "scripted"), 0.0)

    assert told.get(timeout=PATIENCE_S) == 2
    assert told.empty()


def test_a_failure_for_one_run_does_not_stop_the_others() -> None:
    told: queue.Queue[int] = queue.Queue()

    def notify(due: DueRun) -> None:
        if due.run_id == 1:
            raise RuntimeError("the broker answered something odd")
        told.put(due.run_id)

    notifier = DelayedNotifier(notify)
    notifier.schedule(DueRun(1, "scripted"), 0.0)
    notifier.schedule(DueRun(2, "scripted"), 0.01)

    assert told.get(timeout=PATIENCE_S) == 2
