"""Once no hold is in force, the next request goes out within one learned interval, whatever happened before."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.controller import Controller
from pdpp_worker.pacing.lanes import Lanes

CEILING_MS = 250.0
START = 100_000.0
DAY_S = 86400.0
SLACK_S = 1e-6

Story = list[tuple[tuple[str, Any], str]]
"""An event, with its value, in a lane."""

waits = st.one_of(st.none(), st.sampled_from([0.0, -5.0, 60.0, 3600.0, 10 * DAY_S]), st.floats(-100, 4000))
limits = st.builds(
    Announced,
    remaining=st.integers(-1, 10_000),
    reset_s=st.floats(-100, 2 * DAY_S),
    limit=st.one_of(st.none(), st.integers(0, 10_000)),
    window_s=st.one_of(st.none(), st.floats(0, 2 * DAY_S)),
)
steps = st.one_of(
    st.tuples(st.just("success"), st.floats(0, 10)),
    st.tuples(st.just("error"), st.floats(0, 10)),
    st.tuples(st.just("throttle"), waits),
    st.tuples(st.just("announced"), st.lists(limits, max_size=3)),
    st.tuples(st.just("idle"), st.floats(0, 2 * DAY_S)),
    st.tuples(st.just("restart"), st.floats(-DAY_S, 2 * DAY_S)),
    st.tuples(st.just("clock set back"), st.floats(0, 3600)),
    st.tuples(st.just("successes"), st.integers(1, 60)),
)
stories = st.lists(st.tuples(steps, st.sampled_from(["", "history", "users"])), max_size=40)


class Life:
    """The lanes of one connection, to which anything may happen; they send when they may."""

    def __init__(self) -> None:
        self.lanes = Lanes(CEILING_MS)
        self.now = START

    def live(self, what: str, value: Any, lane: str) -> None:
        if what == "restart":
            self._restart(float(value))
        elif what == "idle":
            self.now += float(value)
        elif what == "clock set back":
            self.now -= float(value)
        elif what == "successes":
            for _ in range(int(value)):
                self._send("success", 0.1, lane)
        else:
            self._send(what, value, lane)

    def _send(self, what: str, value: Any, lane: str) -> None:
        self.now = self.lanes.next_send(self.now, lane)
        self.lanes.on_send(self.now, lane)
        if what == "throttle":
            self.lanes.on_throttle(self.now, value, lane)
            return
        if what == "error":
            self.lanes.on_upstream_error(self.now, lane)
            return
        if what == "announced":
            self.lanes.on_announced(self.now, value, lane)
        self.lanes.on_success(self.now, lane)

    def _restart(self, age_s: float) -> None:
        kept = json.loads(json.dumps(self.lanes.snapshot(self.now), allow_nan=False))
        self.now += max(0.0, age_s)
        self.lanes = Lanes(CEILING_MS)
        assert self.lanes.restore(kept, self.now, age_s)


def lived(story: Story) -> Life:
    life = Life()
    for (what, value), lane in story:
        life.live(what, value, lane)
    return life


@given(stories, st.sampled_from(["", "history"]))
def test_without_a_hold_the_next_request_goes_out_within_one_interval(story: Story, lane: str) -> None:
    life = lived(story)

    hold = life.lanes.hold(life.now, lane)
    begin = life.now if hold is None else hold.until
    interval_s = life.lanes.interval_ms(life.now, lane) / 1000

    assert life.lanes.next_send(life.now, lane) <= begin + interval_s + SLACK_S


@given(stories)
def test_the_spacing_is_between_the_ceiling_and_the_interval(story: Story) -> None:
    life = lived(story)

    for lane in life.lanes.names():
        spacing, interval = life.lanes.spacing_ms(life.now, lane), life.lanes.interval_ms(life.now, lane)
        assert CEILING_MS <= spacing <= interval < math.inf


@given(stories)
def test_a_hold_ends_within_a_day_and_says_why(story: Story) -> None:
    stepped_back = sum(float(value) for (what, value), _ in story if what == "clock set back")
    life = lived(story)

    for lane in life.lanes.names():
        hold = life.lanes.hold(life.now, lane)
        assert hold is None or (life.now < hold.until <= life.now + DAY_S + stepped_back + 61 and hold.reason)


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        ([("throttle", 40.0)], "asked to pause (Retry-After)"),
        ([("throttle", None), ("throttle", None)], "two refusals in a minute"),
        ([("error", None)] * 3, "failed 3 times in a row"),
        ([("throttle", None)] * 5, "refused 5 times in a row"),
    ],
)
def test_a_hold_has_a_reason_that_an_owner_understands(story: list[tuple[str, object]], reason: str) -> None:
    life = lived([(step, "") for step in story])

    hold = life.lanes.hold(life.now)

    assert hold is not None
    assert hold.reason == reason


def test_a_wait_of_a_year_is_obeyed_for_a_day() -> None:
    controller = Controller(CEILING_MS)

    controller.on_throttle(START, 365 * DAY_S)

    assert controller.next_send(START) == START + DAY_S


@pytest.mark.parametrize("asked_s", [0.0, -3600.0])
def test_a_wait_that_is_over_already_holds_nothing(asked_s: float) -> None:
    controller = Controller(CEILING_MS)

    controller.on_throttle(START, asked_s)

    assert controller.next_send(START) <= START + 4 * controller.interval_ms(START) / 1000
