"""The benchmark of the fleet reads its figures out of a provider's log."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fleet import figures
from tests.support.waiting import PATIENCE_S

instants = st.lists(st.integers(0, 100).map(float), max_size=8).map(sorted)
stretches = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)).map(lambda one: (one[0], one[0] + one[1])))


def test_what_a_hold_explains_is_no_silence() -> None:
    assert figures.unexplained([10.0, 40.0], (0.0, 50.0), [(10.0, 38.0)], 5.0) == [(0.0, 10.0), (40.0, 50.0)]


def test_what_is_left_on_both_sides_of_a_hold_is_silence() -> None:
    assert figures.unexplained([], (0.0, 30.0), [(10.0, 12.0)], 5.0) == [(0.0, 10.0), (12.0, 30.0)]


def test_a_hold_within_a_longer_one_changes_nothing() -> None:
    assert figures.unexplained([], (0.0, 30.0), [(0.0, 28.0), (5.0, 6.0)], 1.0) == [(28.0, 30.0)]


@given(instants, stretches)
def test_every_second_is_near_an_arrival_or_explained_or_silent(
    arrivals: list[float], known: list[tuple[float, float]]
) -> None:
    silent = figures.unexplained(arrivals, (0.0, 130.0), known, 0.0)

    for second in (half + 0.5 for half in range(130)):
        explained = any(begin <= second <= end for begin, end in known)
        assert explained != any(begin < second < end for begin, end in silent)


def test_a_hand_over_lasts_until_the_next_request() -> None:
    assert figures.hand_overs([1.0, 5.0, 9.0], [0.5, 1.25, 7.0], []) == [0.25, 2.0]


def test_a_hold_is_no_part_of_a_hand_over() -> None:
    assert figures.hand_overs([1.0], [9.0], [(0.0, 7.0), (8.5, 20.0)]) == [1.5]


def test_holds_that_overlap_are_counted_once() -> None:
    assert figures.covered_s((0.0, 30.0), [(-5.0, 10.0), (5.0, 12.0), (20.0, 40.0)]) == 22.0


@given(instants, st.integers(1, 50))
def test_the_densest_window_is_found(arrivals: list[float], window_s: int) -> None:
    counts = (sum(first <= one < first + window_s for one in arrivals) for first in arrivals)

    assert figures.most_within(arrivals, window_s) == max(counts, default=0)


def test_the_silence_around_an_instant_ends_with_the_next_request() -> None:
    assert figures.silence_at(3.0, [1.0, 2.0, 7.0]) == 5.0
    assert figures.silence_at(8.0, [1.0, 2.0, 7.0]) is None


@pytest.mark.process
def test_the_command_drains_a_backlog_with_a_fleet_of_its_own() -> None:
    command = [sys.executable, "-m", "bench.fleet", "--gaps", "3", "--learn", "0"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)

    assert "│ 3, 0 " in done.stdout
