"""The lanes of a connection: rates of their own, one ceiling, one allowance, one outage."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.lanes import Lanes

CEILING_MS = 250.0
START = 1000.0
OF_VERSION_1 = json.loads("""{
    "version": 1, "held_s": 40.0, "sent_ago": 0.1, "refused_ago": [3.688, 0.0],
    "admitted_ago": [12.513, 12.263, 12.013, 11.283, 10.371, 9.48, 8.609, 7.759, 6.928, 6.115, 5.322, 4.546, 1.022],
    "bucket": {"rate": 1.14, "burst": 3, "cuts": 1.0, "probed": true, "level": 4.586, "count": 0, "empty_ago": 0.1,
        "from_full": [[12.513, 12.263, 12.013], 3.788]},
    "window": {"limit": 12, "reset_ago": -40.0, "width": 1.0, "doubts": 0},
    "wary": true, "throttled": true, "successes": 0, "patience": 40
}""")
"""The state that the first version kept after a refusal with a wait of 40 s: it knew one lane."""


def send(lanes: Lanes, now: float, lane: str = "", outcome: str = "ok") -> float:
    """One request of a lane as soon as it may go out; returns when that was."""
    at = lanes.next_send(now, lane)
    lanes.on_send(at, lane)
    if outcome == "refused":
        lanes.on_throttle(at, lane=lane)
    elif outcome == "failed":
        lanes.on_upstream_error(at, lane)
    else:
        lanes.on_success(at, lane)
    return at


def test_a_lane_learns_for_itself() -> None:
    lanes, now = Lanes(CEILING_MS), START
    for _ in range(60):
        now = send(lanes, send(lanes, now, "users"), "history")
    fast = lanes.interval_ms(now, "users")

    now = send(lanes, now, "history", "refused")

    assert lanes.quota_per_s("history") is not None
    assert lanes.quota_per_s("users") is None
    assert lanes.interval_ms(now, "users") == fast


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["ok", "refused", "failed"])), max_size=40))
def test_the_ceiling_holds_across_lanes(requests: list[tuple[str, str]]) -> None:
    lanes, now, sent = Lanes(CEILING_MS), START, []
    for lane, outcome in requests:
        now = send(lanes, now, lane, outcome)
        sent.append(now)

    assert all(later - at >= CEILING_MS / 1000 - 1e-9 for at, later in pairwise(sent))


def test_two_refusals_of_different_lanes_hold_every_lane() -> None:
    lanes = Lanes(CEILING_MS)
    now = send(lanes, send(lanes, START, "a", "refused"), "b", "refused")

    assert [lanes.next_send(now, lane) >= START + 60 for lane in ("a", "b", "c")] == [True] * 3


def test_a_wait_that_was_asked_for_holds_its_lane_alone() -> None:
    lanes = Lanes(CEILING_MS)
    lanes.on_send(START, "history")
    lanes.on_throttle(START, 50.0, "history")

    assert lanes.next_send(START, "history") == START + 50
    assert lanes.next_send(START, "users") == START + CEILING_MS / 1000


def test_failures_of_different_lanes_in_a_row_are_one_outage() -> None:
    lanes, now = Lanes(CEILING_MS), START
    for lane in ("a", "b", "c"):
        now = send(lanes, now, lane, "failed")

    hold = lanes.hold(now, "d")

    assert hold is not None
    assert hold.until == pytest.approx(now + 30)


def test_failures_that_were_to_be_expected_are_no_outage() -> None:
    lanes, now = Lanes(CEILING_MS), START
    for _ in range(20):
        now = lanes.next_send(now)
        lanes.on_send(now)
        lanes.on_upstream_error(now, weight=0.0)

    assert lanes.hold(now) is None


def test_a_failure_that_was_to_be_expected_does_not_end_an_outage() -> None:
    lanes, now = Lanes(CEILING_MS), START
    for weight in (1.0, 1.0, 0.0, 1.0):
        now = lanes.next_send(now)
        lanes.on_send(now)
        lanes.on_upstream_error(now, weight=weight)

    assert lanes.hold(now) is not None


def test_lanes_go_on_from_what_they_left() -> None:
    lanes, now = Lanes(CEILING_MS), START
    for _ in range(60):
        now = send(lanes, send(lanes, now, "users"), "history")
    now = send(lanes, now, "history", "refused")
    kept = json.loads(json.dumps(lanes.snapshot(now), allow_nan=False))
    restored = Lanes(CEILING_MS)

    assert restored.restore(kept, now, 0.0)

    for lane in ("users", "history"):
        assert restored.interval_ms(now, lane) == pytest.approx(lanes.interval_ms(now, lane))
        assert restored.next_send(now, lane) == pytest.approx(lanes.next_send(now, lane), abs=0.005)


def test_the_refusal_window_is_that_of_every_lane() -> None:
    lanes = Lanes(CEILING_MS, refusal_window_s=600.0)
    now = send(lanes, send(lanes, START, "a", "refused"), "a", "refused")

    assert lanes.next_send(now, "b") >= START + 600


def test_what_the_first_version_kept_is_the_unnamed_lane() -> None:
    lanes = Lanes(CEILING_MS)

    assert lanes.restore(OF_VERSION_1, START, 0.0)

    assert lanes.names() == [""]
    assert lanes.next_send(START) == pytest.approx(START + 57.312, abs=0.01)
    assert lanes.quota_per_s("") == pytest.approx(0.2)


@pytest.mark.parametrize("name", sorted(OF_VERSION_1))
def test_a_damaged_snapshot_of_the_first_version_is_a_cold_start(name: str) -> None:
    damaged = {key: value for key, value in OF_VERSION_1.items() if key != name}

    assert not Lanes(CEILING_MS).restore(damaged, START, 0.0)
