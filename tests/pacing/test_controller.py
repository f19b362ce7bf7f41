"""The controller, by rule: what it may never do whatever a provider answers, and what a run leaves to the next."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.controller import FRESH_S, Controller

CEILING_MS = 250.0
CEILING_S = CEILING_MS / 1000
START = 1000.0


@dataclass(frozen=True)
class Answer:
    """The act of an adversarial provider on one request, and how long it takes."""

    kind: str
    latency_s: float
    retry_after_s: float | None = None


answers = st.builds(
    Answer,
    st.sampled_from(["ok", "ok", "ok", "throttle", "error"]),
    st.floats(0, 5),
    st.one_of(st.none(), st.floats(0, 90)),
)
drives = st.lists(answers, max_size=80)


@dataclass
class Sent:
    at: float
    answered: float
    answer: Answer


def drive(controller: Controller, script: list[Answer], now: float = START) -> list[Sent]:
    """Send as soon as the controller allows, and tell it the answers."""
    sent = []
    for answer in script:
        at = controller.next_send(now)
        now = at + answer.latency_s
        controller.on_send(at)
        tell(controller, answer, now)
        sent.append(Sent(at, now, answer))
    return sent


def tell(controller: Controller, answer: Answer, now: float) -> None:
    if answer.kind == "throttle":
        controller.on_throttle(now, answer.retry_after_s)
    elif answer.kind == "error":
        controller.on_upstream_error(now)
    else:
        controller.on_success(now)


def succeed(controller: Controller, count: int, now: float = START) -> float:
    return drive(controller, [Answer("ok", 0.1)] * count, now)[-1].answered


def throttle(controller: Controller, now: float, retry_after_s: float | None = None) -> float:
    return drive(controller, [Answer("throttle", 0.1, retry_after_s)], now)[-1].answered


@given(drives)
def test_no_two_sends_are_closer_than_the_ceiling(script: list[Answer]) -> None:
    sent = drive(Controller(CEILING_MS), script)

    assert all(b.at - a.at >= CEILING_S - 1e-9 for a, b in pairwise(sent))


@given(drives)
def test_the_interval_is_finite_and_never_below_the_ceiling(script: list[Answer]) -> None:
    controller = Controller(CEILING_MS)
    now = drive(controller, script)[-1].answered if script else START

    for interval in (controller.interval_ms(now), controller.spacing_ms(now)):
        assert CEILING_MS <= interval < math.inf


@given(drives, st.floats(0, 300))
def test_no_minute_sees_a_third_refusal(script: list[Answer], asked_s: float) -> None:
    stubborn = [*script, *[Answer("throttle", 0.0, asked_s)] * 6]

    refused = [one.at for one in drive(Controller(CEILING_MS), stubborn) if one.answer.kind == "throttle"]

    assert all(third - first > 60 for first, third in zip(refused, refused[2:], strict=False))


@given(drives)
def test_retry_after_is_never_undercut(script: list[Answer]) -> None:
    sent = drive(Controller(CEILING_MS), script)

    for one, following in pairwise(sent):
        if one.answer.kind == "throttle" and one.answer.retry_after_s is not None:
            assert following.at >= one.answered + one.answer.retry_after_s - 1e-9


@given(drives, drives, st.floats(0, 7200))
def test_a_snapshot_survives_json_and_keeps_the_law_going(
    before: list[Answer], after: list[Answer], age: float
) -> None:
    controller, restored = Controller(CEILING_MS), Controller(CEILING_MS)
    sent = drive(controller, before)
    now = sent[-1].answered if sent else START

    restored.restore(json.loads(json.dumps(controller.snapshot(now), allow_nan=False)), now + age, age)

    resumed = drive(restored, after, now + age)
    instants = [one.at for one in (*sent, *resumed)]
    assert all(b - a >= CEILING_S - 1e-6 for a, b in pairwise(instants))
    held = controller.hold(now)
    assert not resumed or held is None or resumed[0].at >= held.until - 0.001


@given(drives, st.floats(0, 100))
def test_no_minute_sees_a_third_refusal_across_a_restart(script: list[Answer], age: float) -> None:
    controller, restored = Controller(CEILING_MS), Controller(CEILING_MS)
    sent = drive(controller, script)
    now = sent[-1].answered if sent else START
    restored.restore(controller.snapshot(now), now + age, age)

    sent += drive(restored, [Answer("throttle", 0.0)] * 4, now + age)

    refused = [one.at for one in sent if one.answer.kind == "throttle"]
    assert all(third - first > 60 for first, third in zip(refused, refused[2:], strict=False))


def test_it_begins_at_the_cold_start() -> None:
    assert Controller(CEILING_MS, cold_start_ms=1000).interval_ms(START) == 1000


def test_a_cold_start_below_the_ceiling_begins_at_the_ceiling() -> None:
    assert Controller(CEILING_MS, cold_start_ms=100).interval_ms(START) == CEILING_MS


def test_without_refusals_it_reaches_the_ceiling_exactly() -> None:
    controller = Controller(CEILING_MS, cold_start_ms=5000)

    now = succeed(controller, 300)

    assert controller.interval_ms(now) == CEILING_MS
    assert controller.next_send(now) - (now - 0.1) == pytest.approx(CEILING_S)


def test_the_quota_is_unknown_before_the_first_refusal_and_measured_after() -> None:
    controller = Controller(CEILING_MS)
    now = succeed(controller, 50)
    assert controller.quota_per_s is None

    now = throttle(controller, now)
    now = throttle(controller, succeed(controller, 60, now))

    assert controller.quota_per_s == pytest.approx(controller.rate)


def test_a_first_refusal_that_speaks_of_the_burst_teaches_no_quota() -> None:
    controller = Controller(CEILING_MS)
    now = succeed(controller, 1)

    now = throttle(controller, now)

    assert controller.rate == 1
    assert controller.quota_per_s is None


def test_retry_after_is_obeyed_once_and_not_summed_with_the_pace() -> None:
    controller = Controller(CEILING_MS)
    now = throttle(controller, succeed(controller, 30), retry_after_s=20.0)

    first = controller.next_send(now)
    following = controller.next_send(succeed(controller, 1, now))

    assert first == pytest.approx(now + 20, abs=0.1)
    assert following - first < 5


def test_retry_after_teaches_the_rate_too() -> None:
    controller = Controller(CEILING_MS)
    now = succeed(controller, 60)
    before = controller.interval_ms(now)

    now = throttle(controller, now, retry_after_s=1.0)

    assert controller.interval_ms(now) > before


def test_a_refusal_below_a_fast_rate_does_not_fall_back_to_the_cold_start() -> None:
    controller = Controller(CEILING_MS, cold_start_ms=1000)
    now = succeed(controller, 200)

    now = throttle(controller, now)

    assert controller.interval_ms(now) < 600


def test_the_third_refusal_in_a_row_is_an_outage_and_leaves_the_rate_alone() -> None:
    controller = Controller(CEILING_MS)
    now = succeed(controller, 30)
    rate, interval = controller.rate, controller.interval_ms(now)

    now = throttle(controller, throttle(controller, now))
    waits = []
    for _ in range(6):
        now = throttle(controller, now)
        waits.append(controller.next_send(now) - now)

    assert waits == pytest.approx([30, 60, 120, 240, 300, 300])
    assert controller.rate == rate
    assert controller.interval_ms(now) == interval
    assert controller.quota_per_s is None


def test_two_server_errors_are_no_signal_and_three_back_off() -> None:
    controller = Controller(CEILING_MS)
    now = succeed(controller, 30)
    rate = controller.rate

    now = drive(controller, [Answer("error", 0.1)] * 2, now)[-1].answered
    short = controller.next_send(now) - now
    now = drive(controller, [Answer("error", 0.1)], now)[-1].answered

    assert short < 1
    assert controller.next_send(now) - now == pytest.approx(30)
    assert controller.rate == rate


def run_against_interval(
    controller: Controller, interval_s: float, now: float, count: int, *, until_refused: bool = False
) -> tuple[float, int]:
    """A provider that admits one request every `interval_s`; returns when it ended and how many were refused."""
    admitted_at, refused = -math.inf, 0
    for _ in range(count):
        if refused and until_refused:
            break
        at = controller.next_send(now)
        controller.on_send(at)
        now = at + 0.1
        if at - admitted_at < interval_s:
            controller.on_throttle(now)
            refused += 1
        else:
            admitted_at = at
            controller.on_success(now)
    return now, refused


def test_a_refusal_under_strict_spacing_costs_no_second_interval() -> None:
    controller = Controller(CEILING_MS)
    now, _ = run_against_interval(controller, 0.5, START, 1500)
    sent_at = now + 120  # by then the refusals before it are off the books

    controller.on_send(sent_at)
    controller.on_throttle(sent_at)

    assert controller.next_send(sent_at) - sent_at == pytest.approx(controller.interval_ms(sent_at) / 1000)


def test_a_steep_probe_of_strict_spacing_ends_at_what_was_admitted() -> None:
    controller = Controller(CEILING_MS)
    now, _ = run_against_interval(controller, 2.0, START, 300)

    run_against_interval(controller, 0.5, now, 600, until_refused=True)

    assert 1.8 < controller.rate <= 2.0


def test_a_quota_that_falls_to_a_fifth_is_not_taken_for_one_request_a_minute() -> None:
    controller = Controller(CEILING_MS)
    now, _ = run_against_interval(controller, 2.0, START, 700)

    now, _ = run_against_interval(controller, 10.0, now, 100)

    assert controller.quota_per_s == pytest.approx(0.1, rel=0.15)


def restart(controller: Controller, now: float, age_s: float) -> tuple[Controller, float]:
    restarted = Controller(CEILING_MS)
    restarted.restore(controller.snapshot(now), now + age_s, age_s)
    return restarted, now + age_s


def test_the_next_run_begins_where_the_last_one_had_learned_to_be() -> None:
    learned = Controller(CEILING_MS)
    now, _ = run_against_interval(learned, 0.5, START, 1500)

    restarted, now = restart(learned, now, 2700)
    begun = now
    now, refused = run_against_interval(restarted, 0.5, now, 60)

    assert refused <= 1
    assert now - begun < 60 * 0.5 / 0.9


def test_a_run_that_ended_in_an_outage_does_not_poison_the_next() -> None:
    learned = Controller(CEILING_MS)
    now, _ = run_against_interval(learned, 0.5, START, 1500)
    rate = learned.rate
    for _ in range(8):
        now = throttle(learned, now)

    restarted, now = restart(learned, now, 2700)

    assert restarted.rate == rate
    assert restarted.next_send(now) - now < 3


def test_what_is_restored_is_never_faster_than_the_ceiling() -> None:
    learned = Controller(100)
    now = succeed(learned, 300)

    restored = Controller(CEILING_MS)
    restored.restore(learned.snapshot(now), now + 60, 60)

    assert restored.interval_ms(now + 60) == CEILING_MS


def test_a_stale_snapshot_is_a_cold_start() -> None:
    learned = Controller(CEILING_MS)
    now = throttle(learned, succeed(learned, 300))

    restarted, now = restart(learned, now, FRESH_S + 1)

    assert restarted.interval_ms(now) == 1000
    assert restarted.quota_per_s is None


def test_a_snapshot_just_within_the_guard_is_fresh() -> None:
    learned = Controller(CEILING_MS)
    now = throttle(learned, succeed(learned, 300))

    restarted, now = restart(learned, now, FRESH_S)

    assert restarted.interval_ms(now) < 1000


def test_a_snapshot_of_another_version_is_a_cold_start() -> None:
    restored = Controller(CEILING_MS)

    restored.restore({"version": 0}, START, 1.0)

    assert restored.interval_ms(START) == 1000


def test_slices_of_a_minute_learn_what_one_run_learns() -> None:
    whole, sliced = Controller(CEILING_MS), Controller(CEILING_MS)
    run_against_interval(whole, 0.5, START, 900)
    now = START
    for _ in range(9):
        now, _ = run_against_interval(sliced, 0.5, now, 100)
        sliced, now = restart(sliced, now, 0.5)

    assert sliced.rate == pytest.approx(whole.rate, rel=0.05)
