"""Calls that are to be made later are made at their instant."""

from __future__ import annotations

import queue
from functools import partial

from pdpp_worker.tasks.delayed import DelayedCalls
from tests.support.waiting import PATIENCE_S


def recording() -> tuple[DelayedCalls, queue.Queue[int]]:
    """Delayed calls, and the numbers that they were made with."""
    return DelayedCalls(), queue.Queue()


def test_calls_are_made_in_the_order_of_their_instants() -> None:
    delayed, made = recording()

    for number, pause_s in ((1, 0.3), (2, 0.1), (3, 0.2)):
        delayed.schedule(partial(made.put, number), pause_s)

    assert [made.get(timeout=PATIENCE_S) for _ in range(3)] == [2, 3, 1]


def test_a_long_pause_delays_no_other_call() -> None:
    delayed, made = recording()

    delayed.schedule(partial(made.put, 1), 86_400.0)
    delayed.schedule(partial(made.put, 2), 0.0)

    assert made.get(timeout=PATIENCE_S) == 2
    assert made.empty()


def test_a_call_that_fails_does_not_stop_the_others() -> None:
    delayed, made = recording()

    def fail() -> None:
        raise RuntimeError("the broker answered something odd")

    delayed.schedule(fail, 0.0)
    delayed.schedule(partial(made.put, 2), 0.01)

    assert made.get(timeout=PATIENCE_S) == 2
