"""When a connection is due next."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.dispatch.due_times import next_time, parse_cron
from pdpp_worker.errors import ConfigurationError

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)

moments = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
seeds = st.integers(0, 2**32)


def following(
    now: datetime = NOW, *, every_s: float | None = None, cron: str | None = None, jitter_s: float = 0, seed: int = 0
) -> datetime:
    """The next time."""
    return next_time(now, every_s=every_s, cron=cron, jitter_s=jitter_s, spread=random.Random(seed))


@given(moments, st.integers(1, 10**7))
def test_an_interval_counts_from_now_so_that_misses_are_caught_up_once(now: datetime, every_s: int) -> None:
    assert following(now, every_s=every_s) == now + timedelta(seconds=every_s)


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("* * * * *", datetime(2026, 1, 1, 12, 1, tzinfo=UTC)),
        ("0 * * * *", datetime(2026, 1, 1, 13, 0, tzinfo=UTC)),
        ("30 4 * * *", datetime(2026, 1, 2, 4, 30, tzinfo=UTC)),
        ("0 9 * * MON", datetime(2026, 1, 5, 9, 0, tzinfo=UTC)),
        ("0 0 1 * *", datetime(2026, 2, 1, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("*/20 12-13 * * *", datetime(2026, 1, 1, 12, 20, tzinfo=UTC)),
    ],
)
def test_a_cron_line_is_read_in_universal_time(line: str, due: datetime) -> None:
    assert following(cron=line) == due


@given(moments, st.sampled_from(["* * * * *", "7 * * * *", "30 4 * * *", "0 0 1 1 *"]))
def test_a_cron_time_is_always_later_than_now(now: datetime, line: str) -> None:
    assert following(now, cron=line) > now


ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Tehran",
    "Africa/Casablanca",
]
nights = st.tuples(st.integers(0, 3), st.sampled_from([0, 15, 30, 45])).map(lambda time: f"{time[1]} {time[0]} * * *")


@given(moments, st.sampled_from(ZONES), nights)
def test_by_the_clock_of_a_zone_every_day_comes_once_whatever_summer_time_does(
    now: datetime, zone: str, line: str
) -> None:
    times = list(islice(parse_cron(f"CRON_TZ={zone} {line}", now), 3))

    days = [at.astimezone(ZoneInfo(zone)).date() for at in times]
    assert times[0] > now
    assert [after - before for before, after in pairwise(days)] == [timedelta(days=1)] * 2


@pytest.mark.parametrize("line", ["30 2 * * *", "*/20 * * * *", "5 */2 * * *", "0 9 * * MON-FRI"])
@given(minutes=st.integers(-2880, 2880), zone=st.sampled_from(ZONES), is_spring=st.booleans())
def test_a_time_in_a_zone_is_always_later_than_now_also_in_the_nights_of_the_change(
    line: str, minutes: int, zone: str, is_spring: bool
) -> None:
    change = datetime(2026, 3, 29, 1, tzinfo=UTC) if is_spring else datetime(2026, 10, 25, 1, tzinfo=UTC)
    now = change + timedelta(minutes=minutes)

    first = following(now, cron=f"CRON_TZ={zone} {line}")
    second = following(first, cron=f"CRON_TZ={zone} {line}")

    assert now < first < second


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),  # 02:30 is not there: 03:00
        (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # the first 02:30 of two
        (datetime(2026, 10, 25, 1, 10, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)),  # in the second 02:10
        (datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, 0, 30, tzinfo=UTC)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_zone_has_its_own_clock_in_winter_in_summer_and_between(now: datetime, due: datetime) -> None:
    assert following(now, cron="CRON_TZ=Europe/Berlin 30 2 * * *") == due


@pytest.mark.parametrize(
    "line", ["CRON_TZ=Europe/Nowhere 0 4 * * *", "TZ=../../etc/passwd @daily", "CRON_TZ= * * * * *"]
)
def test_a_zone_that_is_none_is_refused_with_an_example(line: str) -> None:
    with pytest.raises(ConfigurationError, match="is no time zone; write it as Europe/Berlin"):
        parse_cron(line, NOW)


@given(moments, st.floats(0, 86400), seeds)
def test_jitter_puts_off_by_no_more_than_it_says_and_never_brings_forward(
    now: datetime, jitter_s: float, seed: int
) -> None:
    put_off = following(now, every_s=3600, jitter_s=jitter_s, seed=seed) - (now + timedelta(hours=1))

    assert timedelta(0) <= put_off <= timedelta(seconds=jitter_s) + timedelta(microseconds=1)


@given(seeds)
def test_jitter_spreads(seed: int) -> None:
    assert following(every_s=60, jitter_s=600, seed=seed) != following(every_s=60, jitter_s=600, seed=seed + 1)


@pytest.mark.parametrize(("name", "line"), [("@daily", "0 0 * * *"), ("@Hourly ", "0 * * * *")])
def test_a_cron_line_may_have_a_name(name: str, line: str) -> None:
    assert next(parse_cron(name, NOW)) == next(parse_cron(line, NOW))


@pytest.mark.parametrize(
    "line", ["", "daily", "* * * *", "60 * * * *", "0 24 * * *", "0 0 30 2 *", "* * * * * * *", "a b c d e", "@never"]
)
def test_what_is_no_cron_line_says_so_with_an_example(line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_cron(line, NOW)

    text = str(caught.value)
    assert text.startswith(f"{line!r} is not a cron line: ")
    assert "'30 4 * * *' (every day at 04:30 UTC)" in text


@pytest.mark.parametrize("every_s", [0.0, -1.0, 1e300, float("inf"), float("nan")])
def test_an_interval_from_which_no_time_follows_is_refused(every_s: float) -> None:
    with pytest.raises(ConfigurationError, match="is no interval"):
        following(every_s=every_s)


@pytest.mark.parametrize("line", ["0 0 */29 2 1#5", "0 0 31 4 *"])
def test_a_cron_line_that_never_comes_is_refused(line: str) -> None:
    with pytest.raises(ConfigurationError):
        following(cron=line)
