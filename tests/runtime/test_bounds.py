"""Which waits are a slice's own, and which end it."""

from __future__ import annotations

import pytest

from pdpp_worker.pacing.hold import Hold
from pdpp_worker.runtime.bounds import PACED, Bounds, BudgetSpent, SliceEnded

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
def bounds(time: Time) -> Bounds:
    return Bounds(SLICE_S, time)


def test_a_short_wait_is_waited_out(bounds: Bounds, time: Time) -> None:
    bounds.check_wait(time.now + 59, None)


def test_a_long_hold_ends_the_slice_until_it_is_over(bounds: Bounds, time: Time) -> None:
    until = time.now + 600

    with pytest.raises(SliceEnded) as ended:
        bounds.check_wait(until, Hold(until, "asked to pause"))

    assert (ended.value.pause_s, ended.value.why) == (600, "asked to pause")


def test_an_interval_longer_than_a_slice_is_waited_out_by_one_that_has_not_moved(bounds: Bounds, time: Time) -> None:
    bounds.check_wait(time.now + 75, None)


def test_an_interval_longer_than_a_slice_ends_one_that_has_moved(bounds: Bounds, time: Time) -> None:
    bounds.progressed = True

    with pytest.raises(SliceEnded) as ended:
        bounds.check_wait(time.now + 75, None)

    assert (ended.value.pause_s, ended.value.why) == (75, PACED)


def test_a_wait_beyond_the_slices_time_is_left_to_the_next_one_at_once(bounds: Bounds, time: Time) -> None:
    bounds.progressed = True
    time.now += 50

    with pytest.raises(SliceEnded) as ended:
        bounds.check_wait(time.now + 20, None)

    assert ended.value.pause_s == 0


def test_a_slice_that_has_not_moved_goes_on_beyond_its_time(bounds: Bounds, time: Time) -> None:
    time.now += 500

    bounds.check_wait(time.now + 20, None)
    assert not bounds.spent


def test_a_long_hold_spends_no_budget(bounds: Bounds, time: Time) -> None:
    bounds.allow(10)
    until = time.now + 20_000

    with pytest.raises(SliceEnded) as ended:
        bounds.check_wait(until, Hold(until, "asked to pause"))

    assert not isinstance(ended.value, BudgetSpent)
    assert ended.value.pause_s == 20_000


def test_a_wait_beyond_the_budget_ends_the_phase(bounds: Bounds, time: Time) -> None:
    bounds.allow(10)

    with pytest.raises(BudgetSpent):
        bounds.check_wait(time.now + 11, None)
