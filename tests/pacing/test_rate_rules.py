"""The rules of the rate model, each by itself: the estimate after one refusal, and the wait that follows."""

from __future__ import annotations

import pytest

from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.announcement import AGREEING, Announcement
from pdpp_worker.pacing.controller import Controller
from pdpp_worker.pacing.outage import Outage
from pdpp_worker.pacing.probing import IDLE_S, PATIENT, WARY, WARY_S, Probing
from pdpp_worker.pacing.snapshot import ProbingSnapshot
from pdpp_worker.pacing.token_bucket import TokenBucket
from pdpp_worker.pacing.window import Window, likely_length

START = 1000.0


def successes_until_probed(rate: float, told_s: float) -> int:
    probing, count = Probing(), 0
    probing.on_refused(START, rate, rate, told_s, costly=True)
    while probing.gain(START) <= 1:
        probing.on_success(START)
        count += 1
    return count


@pytest.mark.parametrize(("rate", "told_s", "successes"), [(1.0, 0.0, PATIENT), (8.0, 0.0, 600), (1.0, 100.0, 3000)])
def test_patience_grows_with_the_rate_and_with_the_price_of_a_refusal(
    rate: float, told_s: float, successes: int
) -> None:
    assert successes_until_probed(rate, told_s) == successes + 1


def test_a_rate_in_doubt_is_not_used_up_while_a_second_refusal_would_cost_a_long_wait() -> None:
    probing = Probing()

    probing.on_refused(START, 0.9, 1.0, 0.0, costly=False)

    assert probing.gain(START + WARY_S - 1) == WARY
    assert probing.gain(START + WARY_S) == 1


@pytest.mark.parametrize(("age_s", "is_probed"), [(IDLE_S, False), (IDLE_S + 1, True)])
def test_a_rate_in_doubt_is_probed_at_once_after_a_pause(age_s: float, is_probed: bool) -> None:
    probing = Probing()
    probing.restore(ProbingSnapshot(throttled=True, successes=3, patience=200, doubt_s=40.0), START, age_s)

    probing.on_success(START + 100)

    assert (probing.gain(START + 100) > 1) is is_probed


def test_an_outage_is_asked_about_after_a_quarter_of_the_time_that_it_has_lasted() -> None:
    outage = Outage("refused")
    for at in (START, START + 1, START + 2, START + 8000):
        outage.on_failure(at)

    assert outage.hold().until == START + 10_000


def refused_twice(told_s: float) -> Controller:
    """A controller that was told to wait for 60 s, and later for `told_s`."""
    controller, now = Controller(250.0), START
    for told in (None,) * 40 + (60.0,) + (None,) * 40 + (told_s,):
        now = controller.next_send(now)
        controller.on_send(now)
        now += 0.1
        if told is None:
            controller.on_success(now)
        else:
            controller.on_throttle(now, told)
    return controller


@pytest.mark.parametrize(("told_s", "is_window"), [(60.0, False), (37.0, True)])
def test_a_wait_that_is_always_the_same_tells_no_window(told_s: float, is_window: bool) -> None:
    assert (refused_twice(told_s)._model._window is not None) is is_window


def test_a_refusal_that_costs_an_hour_sets_the_rate_at_once_to_what_is_sure() -> None:
    controller, now = Controller(1000.0), START
    for _ in range(100):
        now = controller.next_send(now)
        controller.on_send(now)
        controller.on_success(now)
    now = controller.next_send(now)
    controller.on_send(now)

    controller.on_throttle(now, 3600.0)

    assert controller.rate == pytest.approx(1 - 15 / 100, rel=0.01)


def test_of_a_burst_a_part_is_left_for_what_is_not_known() -> None:
    bucket, at_once = TokenBucket(1.0), 0
    bucket.burst = 21

    while bucket.due(START, 1.0) <= START:
        bucket.on_send(START, 1.0)
        at_once += 1

    assert at_once == 18


def test_with_the_rate_known_the_burst_is_what_was_admitted_from_full_to_empty() -> None:
    bucket = TokenBucket(1.0)
    bucket.burst = 9
    for _ in range(12):
        bucket.on_send(START, 1.0)
        bucket.on_admitted()
    bucket.is_smaller(START, [START] * 12, bound=0.1)

    bucket.measure_burst()

    assert bucket.burst == 12


def test_a_fixed_window_that_gave_more_than_its_budget_began_within() -> None:
    window, admitted = Window(10, 60.0), [START + 2 * number for number in range(12)]

    shut_until = window.on_refused(START + 24, admitted, None)

    assert shut_until == admitted[-10] + 60


def test_a_told_wait_is_where_the_window_begins_anew() -> None:
    window, admitted = Window(10, 60.0), [START + number for number in range(10)]

    shut_until = window.on_refused(START + 10, admitted, START + 33)

    assert shut_until == START + 33


def test_a_refusal_far_below_the_budget_disproves_the_window() -> None:
    assert Window(10, 60.0).on_refused(START + 10, [START, START + 1, START + 2], None) is None


def test_the_length_of_a_window_is_the_shortest_that_explains_what_was_admitted() -> None:
    admitted = [START + 10 * window + 0.5 * number for window in range(12) for number in range(8)]
    refused = [START + 10 * window + 4 for window in range(8, 12)]

    assert likely_length(refused, admitted, 1.0) in (5.0, 10.0)


def test_an_announcement_that_did_not_agree_is_believed_again_after_answers_that_do() -> None:
    announcement = Announcement()
    for _ in range(2 * AGREEING):
        announcement.on_success()
    announcement.on_announced(START, [Announced(5, 60.0)])
    announcement.on_send(START)

    announcement.on_refused(START + 1)

    believed = []
    for _ in range(AGREEING):
        believed.append(announcement.interval_s(START + 1))
        announcement.on_success()
    assert believed == [None] * AGREEING
    assert announcement.interval_s(START + 1) == pytest.approx(59 / 4)


def test_of_several_limits_that_are_used_up_the_one_that_lasts_longest_holds() -> None:
    announcement = Announcement()

    announcement.on_announced(START, [Announced(0, 50.0), Announced(0, 100.0), Announced(5, 900.0)])

    hold = announcement.hold(START)
    assert hold is not None
    assert hold.until == START + 100


def test_a_refusal_that_costs_an_hour_right_after_a_pause_speaks_of_the_burst_alone() -> None:
    controller, now = Controller(250.0), START
    controller.on_send(now)
    controller.on_success(now)
    now = controller.next_send(now)
    controller.on_send(now)

    controller.on_throttle(now, 3600.0)

    assert controller.rate == 1
    assert controller._model._bucket.burst == 1
