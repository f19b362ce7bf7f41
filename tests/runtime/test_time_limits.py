"""Which waits are a slice's own, and which end it."""

from __future__ import annotations

import pytest

from pdpp_worker.pacing.hold import Hold
from pdpp_worker.runtime.time_limits import PACED, BudgetSpent, SliceEnded, TimeLimits

SLICE_S = 60.0


class Time:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limits(time: Time) -> TimeLimits:
    return TimeLimits(SLICE_S, clock=time)


def test_a_short_wait_is_waited_out(limits: TimeLimits, time: Time) -> None:
    limits.check_wait(time.now + 59, None)


def test_a_long_hold_ends_the_slice_until_it_is_over(limits: TimeLimits, time: Time) -> None:
    until = time.now + 600

    with pytest.raises(SliceEnded) as ended:
        limits.check_wait(until, Hold(until, "asked to pause"))

    assert (ended.value.pause_s, ended.value.why) == (600, "asked to pause")


def test_an_interval_longer_than_a_slice_is_waited_out_by_one_without_progress(limits: TimeLimits, time: Time) -> None:
    limits.check_wait(time.now + 75, None)


def test_an_interval_longer_than_a_slice_ends_one_with_progress(limits: TimeLimits, time: Time) -> None:
    limits.progressed = True

    with pytest.raises(SliceEnded) as ended:
        limits.check_wait(time.now + 75, None)

    assert (ended.value.pause_s, ended.value.why) == (75, PACED)


def test_a_wait_beyond_the_slices_time_is_left_to_the_next_one_at_once(limits: TimeLimits, time: Time) -> None:
    limits.progressed = True
    time.now += 50

    with pytest.raises(SliceEnded) as ended:
        limits.check_wait(time.now + 20, None)

    assert ended.value.pause_s == 0


def test_a_slice_without_progress_goes_on_beyond_its_time(limits: TimeLimits, time: Time) -> None:
    time.now += 500

    limits.check_wait(time.now + 20, None)
    assert limits.is_over


def test_a_long_hold_spends_no_budget(time: Time) -> None:
    limits = TimeLimits(SLICE_S, 10, clock=time)
    until = time.now + 20_000

    with pytest.raises(SliceEnded) as ended:
        limits.check_wait(until, Hold(until, "asked to pause"))

    assert not isinstance(ended.value, BudgetSpent)
    assert ended.value.pause_s == 20_000


def test_a_wait_beyond_the_budget_ends_the_phase(time: Time) -> None:
    limits = TimeLimits(SLICE_S, 10, clock=time)

    with pytest.raises(BudgetSpent):
        limits.check_wait(time.now + 11, None)


def test_a_parked_wait_takes_nothing_of_the_slices_time(time: Time) -> None:
    limits = TimeLimits(SLICE_S, longest_s=15 * SLICE_S, clock=time)
    limits.progressed = True

    for _ in range(10):
        limits.check_wait(time.now + 20, None)
        time.now += 20

    assert not limits.is_over


def test_short_waits_are_work(time: Time) -> None:
    limits = TimeLimits(SLICE_S, longest_s=15 * SLICE_S, clock=time)
    limits.progressed = True
    time.now += 59.5

    with pytest.raises(SliceEnded):
        limits.check_wait(time.now + 0.9, None)


def test_a_slice_that_mostly_waits_has_an_end(time: Time) -> None:
    limits = TimeLimits(SLICE_S, longest_s=3 * SLICE_S, clock=time)
    limits.progressed = True
    for _ in range(8):
        limits.check_wait(time.now + 20, None)
        time.now += 20

    with pytest.raises(SliceEnded):
        limits.check_wait(time.now + 20, None)
