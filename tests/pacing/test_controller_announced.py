"""Limits that a provider announces: believed while they agree with what happens."""

from __future__ import annotations

import json

import pytest

from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.controller import Controller

CEILING_MS = 250.0
START = 1000.0


def answer(controller: Controller, now: float, *limits: Announced, refused: bool = False) -> float:
    """One request as soon as it may go out, and its answer; returns when that was."""
    at = controller.next_send(now)
    controller.on_send(at)
    controller.on_announced(at, limits)
    if refused:
        controller.on_throttle(at)
    else:
        controller.on_success(at)
    return at


def test_what_is_left_is_sent_at_the_ceiling_even_cold() -> None:
    controller = Controller(CEILING_MS)

    now = answer(controller, START, Announced(remaining=40, reset_s=60.0))

    assert controller.next_send(now) == now + CEILING_MS / 1000
    assert controller.interval_ms(now) == 60_000 / 40


def test_nothing_is_sent_before_the_reset_where_nothing_is_left() -> None:
    controller = Controller(CEILING_MS)

    now = answer(controller, START, Announced(remaining=0, reset_s=60.0))

    hold = controller.hold(now)
    assert controller.next_send(now) == now + 60
    assert hold is not None
    assert hold.reason == "the announced limit is used up"


def test_of_several_limits_the_one_that_is_used_up_counts() -> None:
    controller = Controller(CEILING_MS)

    now = answer(controller, START, Announced(remaining=0, reset_s=900.0), Announced(remaining=9, reset_s=1.0))

    assert controller.next_send(now) == now + 900


def test_a_refusal_although_something_is_left_ends_the_belief() -> None:
    controller = Controller(CEILING_MS)
    now = answer(controller, START, Announced(remaining=40, reset_s=60.0))

    now = answer(controller, now, Announced(remaining=39, reset_s=60.0), refused=True)

    assert controller.next_send(now) > now + CEILING_MS / 1000


def test_answers_that_agree_again_restore_the_belief() -> None:
    controller = Controller(CEILING_MS)
    now = answer(controller, START, Announced(remaining=400, reset_s=600.0), refused=True)

    for _ in range(20):
        now = answer(controller, now, Announced(remaining=400, reset_s=600.0))

    assert controller.interval_ms(now) == 600_000 / 400


def test_a_window_that_begins_with_nothing_left_is_not_believed() -> None:
    controller = Controller(CEILING_MS)
    now = answer(controller, START, Announced(remaining=0, reset_s=3600.0))

    now = answer(controller, now, Announced(remaining=0, reset_s=3600.0))

    assert controller.next_send(now) < now + 60


@pytest.mark.parametrize("limit", [Announced(-1, 60.0), Announced(0, -5.0), Announced(0, 10**9)])
def test_an_announcement_that_cannot_be_is_left_aside(limit: Announced) -> None:
    controller, other = Controller(CEILING_MS), Controller(CEILING_MS)

    now = answer(controller, START, limit)
    answer(other, START)

    assert controller.next_send(now) == other.next_send(now)


def test_what_was_announced_outlives_a_restart() -> None:
    controller, restored = Controller(CEILING_MS), Controller(CEILING_MS)
    now = answer(controller, START, Announced(remaining=0, reset_s=600.0))

    restored.restore(json.loads(json.dumps(controller.snapshot(now))), now + 100, 100.0)

    assert restored.next_send(now + 100) == pytest.approx(now + 600)
