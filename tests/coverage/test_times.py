"""Times and durations for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.coverage.times import clock, due, duration, relative
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner.durations import parse_duration, parse_moment

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(1, 500), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    text = f"{days}d{hours}h{minutes}m{seconds}s"

    assert parse_duration(text) == timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()


def test_a_duration_is_written_in_words_as_well() -> None:
    pairs = {"15 minutes": 900, "1 hour 30 min": 5400, "2 Days": 172_800, "1h 30m": 5400, "90 sec": 90}

    assert {text: parse_duration(text) for text in pairs} == pairs


@pytest.mark.parametrize("text", ["", "0s", "15", "1.5h", "h", "-1h", "1 h", "1y", "soon", "9" * 5000])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="15m") as refused:
        parse_duration(text)

    assert len(str(refused.value)) < 200


def test_a_moment_of_any_length_is_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="no day and no duration") as refused:
        parse_moment("9" * 5000, NOW)

    assert len(str(refused.value)) < 250


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (45, "45 s"), (240, "4 min"), (5400, "1 h 30 min"), (3601, "1 h"), (172_800, "2 d")],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "now"), (250, "in 4 min"), (-250, "4 min ago"), (90_000, "in 1 d"), (-59, "59 s ago")]
)
def test_a_time_is_said_by_its_distance(seconds: float, words: str) -> None:
    assert relative(NOW + timedelta(seconds=seconds), NOW) == words


@given(st.timedeltas(max_value=timedelta(0), min_value=timedelta(days=-1000)))
def test_what_is_overdue_comes_now(late: timedelta) -> None:
    assert due(NOW + late, NOW) == "now"


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (timedelta(minutes=5), "12:05:00"),
        (timedelta(hours=8, minutes=30), "20:30"),
        (timedelta(hours=20), "2026-01-02 08:00"),
    ],
)
def test_a_time_on_the_clock_is_as_short_as_it_can_be(later: timedelta, words: str) -> None:
    noon = datetime(2026, 1, 1, 12).astimezone()

    assert clock(noon + later, noon) == words
