"""Bounds that hold for the controller after any order of events and any snapshot."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.controller import Controller

CEILING_MS, COLD_MS = 250.0, 1000.0
START = 1000.0
MILLISECONDS = 0.005
"""Instants are kept to the millisecond."""

steps = st.one_of(
    st.tuples(st.just("send"), st.just(0.0)),
    st.tuples(st.sampled_from(["success", "error", "wait", "restart"]), st.floats(0, 900)),
    st.tuples(st.just("throttle"), st.floats(0, 90)),
    st.tuples(st.just("bare throttle"), st.floats(0, 3)),
)
"""Something that happens, and a duration: of the wait for it, or of Retry-After."""


class Life:
    """A controller to which anything may happen in any order; it sends only when it may."""

    def __init__(self) -> None:
        self.controller = Controller(CEILING_MS, COLD_MS)
        self.now = START
        self.sends: list[float] = []

    def live(self, what: str, duration_s: float) -> None:
        if what == "send":
            self.now = self.controller.next_send(self.now)
            self.controller.on_send(self.now)
            self.sends.append(self.now)
        elif what == "throttle":
            self.controller.on_throttle(self.now, duration_s)
        elif what == "bare throttle":
            self.now += duration_s
            self.controller.on_throttle(self.now)
        elif what == "restart":
            self.restart(duration_s)
        else:
            self.now += duration_s
            self._end_quietly(what)

    def _end_quietly(self, what: str) -> None:
        if what == "success":
            self.controller.on_success(self.now)
        elif what == "error":
            self.controller.on_upstream_error(self.now)

    def restart(self, age_s: float = 0.0) -> None:
        kept = self.kept(self.now)
        self.now += age_s
        self.controller = Controller(CEILING_MS, COLD_MS)
        assert self.controller.restore(kept, self.now, age_s)

    def kept(self, at: float) -> Any:
        return json.loads(json.dumps(self.controller.snapshot(at), allow_nan=False))


def lived(story: list[tuple[str, float]]) -> Life:
    life = Life()
    for what, duration_s in story:
        life.live(what, duration_s)
    return life


stories = st.lists(steps, max_size=60)


@given(stories)
def test_the_ceiling_holds_in_any_order_of_events(story: list[tuple[str, float]]) -> None:
    sends = lived(story).sends

    assert all(later - at >= CEILING_MS / 1000 - 1e-6 for at, later in pairwise(sends))


@given(stories)
def test_what_is_kept_is_always_json_and_always_readable(story: list[tuple[str, float]]) -> None:
    life = lived(story)

    life.restart()

    assert math.isfinite(life.controller.next_send(life.now))


@given(stories)
def test_a_restart_changes_no_instant(story: list[tuple[str, float]]) -> None:
    life = lived(story)
    before = life.controller.next_send(life.now)

    life.restart()

    assert life.controller.next_send(life.now) == pytest.approx(before, abs=MILLISECONDS)


@given(stories)
def test_two_refusals_on_the_books_hold_the_next_send_for_a_minute(story: list[tuple[str, float]]) -> None:
    life = lived(story)
    first = life.now

    life.controller.on_throttle(first)
    life.controller.on_throttle(first + 1)

    assert life.controller.next_send(first + 1) > first + 60


def test_a_refusal_before_any_send_counts_as_one() -> None:
    life = lived([("throttle", 5.0)])

    assert life.controller.next_send(START) >= START + 5
    assert life.kept(START)["lanes"][""]["sent_ago"] == 0


def test_what_failed_before_it_was_sent_was_not_admitted() -> None:
    life = lived([("error", 1.0), ("success", 1.0)])

    assert life.kept(life.now)["lanes"][""]["admitted_ago"] == []


def test_a_long_drain_without_a_refusal_stays_at_the_ceiling() -> None:
    controller, now = Controller(CEILING_MS, COLD_MS), START
    for _ in range(40_000):
        now = controller.next_send(now)
        controller.on_send(now)
        controller.on_success(now)

    assert controller.interval_ms(now) == CEILING_MS


def test_a_clock_that_was_set_back_makes_no_refusal_come_later() -> None:
    life = lived([("send", 0.0), ("bare throttle", 0.0), ("send", 0.0), ("bare throttle", 0.0)])
    kept, due = life.kept(life.now), life.controller.next_send(life.now)
    restored = Controller(CEILING_MS, COLD_MS)

    restored.restore(kept, life.now, -3600.0)

    assert restored.next_send(life.now) == pytest.approx(due, abs=MILLISECONDS)


def learned() -> dict[str, Any]:
    """A snapshot with everything in it: a bucket that was measured, and the budget of a minute."""
    life = lived([("send", 0.0), ("success", 0.3)] * 40 + [("bare throttle", 0.1), ("send", 0.0), ("throttle", 40.0)])
    kept: dict[str, Any] = life.kept(life.now)
    assert kept["lanes"][""]["model"]["window"] is not None
    return kept


def places(part: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a snapshot, as the way to it; what is in lists counts as one."""
    for name, value in part.items() if isinstance(part, dict) else ():
        if name:  # the unnamed lane itself may be missing
            yield (*path, name)
        yield from places(value, (*path, name))


LEARNED = learned()
PLACES = list(places(LEARNED))
garbage = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.one_of(st.none(), st.floats(), st.text(max_size=2)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def spoil(place: tuple[str, ...], change: Callable[[dict[str, Any], str], object]) -> dict[str, Any]:
    kept = copy.deepcopy(LEARNED)
    *parents, name = place
    holder = kept
    for parent in parents:
        holder = holder[parent]
    change(holder, name)
    return kept


def go_on(kept: object) -> Controller:
    """A controller that was given the notes, and then works for a while."""
    controller, now = Controller(CEILING_MS, COLD_MS), START
    if not controller.restore(kept, now, 1.0):
        assert controller.interval_ms(now) == COLD_MS
        assert controller.next_send(now) == now
    for refused in (False, True, False, True, True, False):
        now = controller.next_send(now)
        controller.on_send(now)
        if refused:
            controller.on_throttle(now)
        else:
            controller.on_success(now)
    json.dumps(controller.snapshot(now), allow_nan=False)
    assert math.isfinite(controller.next_send(now))
    return controller


@given(st.sampled_from(PLACES), garbage)
def test_garbage_in_a_snapshot_never_raises(place: tuple[str, ...], value: object) -> None:
    go_on(spoil(place, lambda holder, name: holder.__setitem__(name, value)))


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_a_snapshot_with_a_part_missing_is_a_cold_start(place: tuple[str, ...]) -> None:
    kept = spoil(place, dict.pop)

    assert not Controller(CEILING_MS).restore(kept, START, 1.0)
    go_on(kept)


@pytest.mark.parametrize("rate", [0, -1.0, math.nan, math.inf, -math.inf, "1", None, 1e-9])
def test_a_rate_that_cannot_be_is_a_cold_start(rate: object) -> None:
    kept = spoil(("lanes", "", "model", "bucket", "rate"), lambda holder, name: holder.__setitem__(name, rate))

    assert not Controller(CEILING_MS).restore(kept, START, 1.0)


@given(garbage)
def test_notes_that_are_no_snapshot_are_a_cold_start(kept: object) -> None:
    assert not Controller(CEILING_MS).restore(kept, START, 1.0)
