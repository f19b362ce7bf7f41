"""Refusals that going slower does not cure, and what the rate model makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.controller import Controller
from pdpp_worker.pacing.probing import SOON, Probing
from pdpp_worker.pacing.slowing import ASK, CLOSE, CUT, Slowing

CEILING_MS = 250.0
START = 1000.0
HOUR_S = 3600.0
LONG = 60


def refuse_every(count: int, requests: int) -> list[float]:
    """The intervals, ms, of a law that meets a provider that refuses every so many requests, whatever the rate."""
    controller, now, intervals = Controller(CEILING_MS), START, []
    for number in range(1, requests + 1):
        now = controller.next_send(now)
        controller.on_send(now)
        now += 0.3
        if number % count:
            controller.on_success(now)
        else:
            controller.on_throttle(now)
        intervals.append(controller.interval_ms(now))
    return intervals


@pytest.mark.parametrize("count", [200, 100, 50, 25])
def test_refusals_whatever_the_rate_do_not_talk_it_down(count: int) -> None:
    intervals = refuse_every(count, 3000)

    assert max(intervals[100:]) < 10 * 1000


def test_a_quota_that_fell_is_followed_and_a_refusal_that_recurs_is_not() -> None:
    falling, recurring = Slowing(), Slowing()
    rate = followed = 1.0
    for _ in range(ASK):
        followed = falling.slower(followed, 0.0, CLOSE + 1)
        rate = recurring.slower(rate, 0.0, CLOSE - 1)

    assert followed == pytest.approx((1 - CUT) ** ASK)
    assert rate == 1.0


def test_it_takes_more_to_give_back_a_second_time() -> None:
    slowing, rate = Slowing(), 1.0
    for _ in range(2 * ASK):
        rate = slowing.slower(rate, 0.0, CLOSE - 1)

    assert rate < 1


def test_what_was_admitted_over_several_refusals_bounds_the_rate_better_than_after_one() -> None:
    slowing = Slowing()
    slowing.on_refused(START, 95, 100.0)
    slowing.on_refused(START + 102, 1, 2.0)

    assert slowing.slower(1.0, 0.5, 1) > 0.9


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0, 1)), max_size=60))
def test_without_a_told_wait_the_rate_stays_above_a_fifth_of_the_best(story: list[tuple[int, float]]) -> None:
    controller, now = Controller(CEILING_MS), START
    best = 0.0
    for successes, latency_s in [(1, 0.1), (40, 0.1), *story]:
        for refused in [False] * successes + [True]:
            now = controller.next_send(now)
            controller.on_send(now)
            now += latency_s
            if refused:
                controller.on_throttle(now)
            else:
                controller.on_success(now)
        best = max(best, controller._model._slowing.floor(now))

        assert now > START + 6 * HOUR_S or controller.rate >= best - 1e-9


def answered(controller: Controller, now: float, refused: list[bool]) -> float:
    """Send as soon as it may; returns when the last answer came."""
    for is_refused in refused:
        now = controller.next_send(now)
        controller.on_send(now)
        now += 0.1
        if is_refused:
            controller.on_throttle(now)
        else:
            controller.on_success(now)
    return now


def test_without_a_told_wait_a_fifth_of_what_was_held_is_left() -> None:
    controller = Controller(CEILING_MS)
    now = answered(controller, START, [False] * 100 + [True] + [False] * 100 + [True])
    held = controller.rate

    answered(controller, now, [False, True, True] * 20)

    assert 0.1 * held < controller.rate < 0.5 * held


def test_a_window_that_a_probe_disproves_leaves_what_the_probe_found() -> None:
    controller = Controller(CEILING_MS)
    now = answered(controller, START, [False] * 40 + [True, True])
    window = controller.rate
    now = answered(controller, now, [False] * 250)

    answered(controller, now, [True])

    assert controller.rate > 1.5 * window


def test_items_that_are_always_refused_cost_the_rate_for_a_time_only() -> None:
    controller = Controller(CEILING_MS)
    now = answered(controller, START, [False] * 300)

    now = answered(controller, now, ([True, True] + [False] * 300) * 12)

    assert controller.interval_ms(now) < 2 * CEILING_MS


def probed_again_after(successes: int) -> int:
    """Successes before the next probe, where a rate was refused without probing after so many."""
    probing = Probing()
    probing.on_refused(START, 1.0, 1.0, 0.0, costly=False)
    for _ in range(LONG):
        probing.on_success(START)
    probing.on_refused(START, 1.0, 1.0, 0.0, costly=False)
    for _ in range(successes):
        probing.on_success(START)
    probing.on_refused(START, 1.0, 1.0, 0.0, costly=False)
    count = 0
    while probing.gain(START) <= 1:
        probing.on_success(START)
        count += 1
    return count


def test_only_a_refusal_soon_after_the_last_one_brings_the_next_probe_forward() -> None:
    assert probed_again_after(SOON - 1) == 101
    assert probed_again_after(SOON) == 201
