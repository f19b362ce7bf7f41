"""A run that pauses is rung for when its pause is over."""

from __future__ import annotations

import queue
from collections.abc import Callable

from pdpp_worker.store.runs import Ring
from pdpp_worker.tasks.alarm import Alarm
from tests.support.waiting import PATIENCE_S


def heard(alarm_of: Callable[[Callable[[Ring], object]], Alarm]) -> tuple[Alarm, queue.Queue[int]]:
    """An alarm, and the runs that it rings for."""
    rung: queue.Queue[int] = queue.Queue()
    return alarm_of(lambda bell: rung.put(bell.run_id)), rung


def test_bells_ring_in_the_order_of_their_instants() -> None:
    alarm, rung = heard(Alarm)

    for number, pause_s in ((1, 0.3), (2, 0.1), (3, 0.2)):
        alarm.set(Ring(number, "scripted"), pause_s)

    assert [rung.get(timeout=PATIENCE_S) for _ in range(3)] == [2, 3, 1]


def test_a_bell_that_is_far_off_keeps_none_waiting() -> None:
    alarm, rung = heard(Alarm)

    alarm.set(Ring(1, "scripted"), 86_400.0)
    alarm.set(Ring(2, "scripted"), 0.0)

    assert rung.get(timeout=PATIENCE_S) == 2
    assert rung.empty()


def test_a_bell_that_cannot_be_rung_does_not_silence_the_others() -> None:
    rung: queue.Queue[int] = queue.Queue()

    def ring(bell: Ring) -> None:
        if bell.run_id == 1:
            raise RuntimeError("the broker answered something odd")
        rung.put(bell.run_id)

    alarm = Alarm(ring)
    alarm.set(Ring(1, "scripted"), 0.0)
    alarm.set(Ring(2, "scripted"), 0.01)

    assert rung.get(timeout=PATIENCE_S) == 2
