"""The limits that answers announce, in every form that is in use; what cannot be read is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.announced import Announced, announced, reset_alone

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
COUNT = st.integers(0, 10**6)
SECONDS = st.integers(0, 86_400)


def read(now: datetime = NOW, /, **headers: str) -> list[Announced]:
    """The limits of headers; underscores in names are hyphens."""
    return announced(httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}), now)


class TestDraft:
    """`RateLimit` and `RateLimit-Policy`."""

    @given(COUNT, SECONDS, COUNT, SECONDS.filter(bool))
    def test_one_policy(self, left: int, reset: int, quota: int, window: int) -> None:
        got = read(ratelimit=f'"default";r={left};t={reset}', ratelimit_policy=f'"default";q={quota};w={window}')

        assert got == [Announced(left, reset, quota, window)]

    def test_several_policies_meet_by_their_names(self) -> None:
        got = read(
            ratelimit_policy='"daily";q=1000;w=86400, "burst";q=100;w=60;pk=:cHBwcA==:',
            ratelimit='"burst";r=50;t=30;pk=:cHBwcA==:, "daily";r=900;t=3600',
        )

        assert got == [Announced(50, 30, 100, 60), Announced(900, 3600, 1000, 86400)]

    def test_names_may_hold_what_separates(self) -> None:
        got = read(ratelimit=r'"a,b;c\"d";r=5;t=3', ratelimit_policy=r'"a,b;c\"d";q=9;w=60, "a";q=1;w=1')

        assert got == [Announced(5, 3, 9, 60)]

    def test_a_policy_that_is_not_told_is_not_needed(self) -> None:
        assert read(ratelimit='"default";r=5;t=3') == [Announced(5, 3)]

    def test_without_a_reset_it_is_a_window_away_at_most(self) -> None:
        assert read(ratelimit='"p";r=5', ratelimit_policy='"p";q=9;w=60') == [Announced(5, 60, 9, 60)]

    def test_what_counts_something_else_than_requests_is_left_out(self) -> None:
        assert read(ratelimit='"p";r=5;t=3', ratelimit_policy='"p";q=9;w=60;qu="content-bytes"') == []

    @given(COUNT, SECONDS, COUNT)
    def test_the_earlier_dictionary(self, left: int, reset: int, limit: int) -> None:
        assert read(ratelimit=f"limit={limit}, remaining={left}, reset={reset}") == [Announced(left, reset, limit)]

    def test_its_policies_meet_by_their_size(self) -> None:
        got = read(ratelimit="limit=10, remaining=7, reset=1", ratelimit_policy="1000;w=3600, 10;w=1;burst=20")

        assert got == [Announced(7, 1, 10, 1)]


@pytest.mark.parametrize("family", ["ratelimit", "x-ratelimit", "x-rate-limit"])
class TestThree:
    """`…-Limit`, `…-Remaining` and `…-Reset`."""

    def of(self, family: str, limit: object, left: object, reset: object, **more: str) -> list[Announced]:
        named = {f"{family}-limit": str(limit), f"{family}-remaining": str(left), f"{family}-reset": str(reset)}
        return read(**{**{name: value for name, value in named.items() if value}, **more})

    @given(limit=COUNT, left=COUNT, reset=SECONDS)
    def test_the_reset_in_seconds(self, family: str, limit: int, left: int, reset: int) -> None:
        assert self.of(family, limit, left, reset) == [Announced(left, reset, limit)]

    @given(limit=COUNT, left=COUNT, reset=SECONDS)
    def test_as_an_instant(self, family: str, limit: int, left: int, reset: int) -> None:
        assert self.of(family, limit, left, EPOCH + reset) == [Announced(left, reset, limit)]

    @given(limit=COUNT, left=COUNT, reset=st.integers(0, 86_400_000))
    def test_as_an_instant_in_milliseconds(self, family: str, limit: int, left: int, reset: int) -> None:
        (got,) = self.of(family, limit, left, EPOCH * 1000 + reset)

        assert got.reset_s == pytest.approx(reset / 1000, abs=1e-3)

    @given(reset=SECONDS)
    def test_as_a_date(self, family: str, reset: int) -> None:
        due = NOW + timedelta(seconds=reset)

        assert self.of(family, 9, 5, due.isoformat()) == [Announced(5, reset, 9)]
        assert self.of(family, 9, 5, due.replace(tzinfo=None).isoformat() + "Z") == [Announced(5, reset, 9)]

    @given(ahead=st.integers(-3600, 3600), reset=SECONDS)
    def test_an_instant_is_one_of_the_providers_clock(self, family: str, ahead: int, reset: int) -> None:
        there = NOW + timedelta(seconds=ahead)
        date = format_datetime(there, usegmt=True)

        assert self.of(family, 9, 5, EPOCH + ahead + reset, date=date) == [Announced(5, reset, 9)]

    def test_a_stored_answer_has_an_old_date(self, family: str) -> None:
        date = format_datetime(NOW - timedelta(hours=1), usegmt=True)

        assert self.of(family, 9, 5, EPOCH + 60, date=date, age="3600") == [Announced(5, 60, 9)]

    def test_an_instant_that_is_past_is_now(self, family: str) -> None:
        assert self.of(family, 9, 5, EPOCH - 60) == [Announced(5, 0, 9)]

    def test_fractions(self, family: str) -> None:
        assert self.of(family, "600.0", "598.0", "34.5") == [Announced(598, 34.5, 600)]

    def test_the_limit_need_not_be_told(self, family: str) -> None:
        assert self.of(family, "", 5, 3) == [Announced(5, 3)]

    def test_the_limit_may_name_its_window(self, family: str) -> None:
        assert self.of(family, "100, 100;w=60, 5000;w=86400", 14, 9) == [Announced(14, 9, 100, 60)]

    def test_several_limits_in_one_list(self, family: str) -> None:
        policy = {f"{family}-policy": "1;w=1, 15000;w=2592000"}

        got = self.of(family, "1, 15000", "0, 1000", "1, 1419704", **policy)

        assert got == [Announced(0, 1, 1, 1), Announced(1000, 1_419_704, 15_000, 2_592_000)]

    @pytest.mark.parametrize("left", ["", "many", "-1", "1e3", "0x1", "9" * 400, "nan"])
    def test_junk_for_what_is_left_is_no_limit(self, family: str, left: str) -> None:
        assert self.of(family, 9, left, 3) == []

    @pytest.mark.parametrize("reset", ["", "soon", "-1", "1e3", "inf", "9" * 400, EPOCH * 10, str(EPOCH + 10**8)])
    def test_junk_for_the_reset_is_no_limit(self, family: str, reset: object) -> None:
        assert self.of(family, 9, 5, reset) == []


def test_limits_that_are_told_apart_by_their_window() -> None:
    got = read(
        x_ratelimit_remaining_second="3",
        x_ratelimit_reset_second="1",
        x_ratelimit_remaining_day="80",
        x_ratelimit_reset_day="4000",
        x_ratelimit_limit_day="100",
    )

    assert got == [Announced(3, 1), Announced(80, 4000, 100)]


def test_a_count_of_tokens_is_none_of_requests() -> None:
    got = read(
        x_ratelimit_remaining_requests="3",
        x_ratelimit_reset_requests="1",
        x_ratelimit_remaining_tokens="80",
        x_ratelimit_reset_tokens="4",
    )

    assert got == [Announced(3, 1)]


def test_the_time_until_the_reset_is_better_than_its_instant() -> None:
    assert read(x_ratelimit_remaining="1", x_ratelimit_reset="9", x_ratelimit_reset_after="0.5") == [Announced(1, 0.5)]


def test_a_limit_that_is_told_twice_is_one() -> None:
    same = {"ratelimit_remaining": "1", "ratelimit_reset": "9", "ratelimit_limit": "5"}

    assert read(**same, **{f"x_{name}": value for name, value in same.items()}) == [Announced(1, 9, 5)]


def test_an_answer_without_any_tells_nothing() -> None:
    assert read(content_type="text/html", x_ratelimit_resource="core") == []


def test_a_header_that_is_far_too_long_is_left_out() -> None:
    assert read(ratelimit='"p";r=5;t=3' + " " * 2000) == []


def test_a_reset_may_come_alone() -> None:
    headers = httpx.Headers({"x-ratelimit-reset": str(EPOCH + 5)})

    assert announced(headers, NOW) == []
    assert reset_alone(headers, NOW) == 5


NAMES = ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "date"]
JUNK = st.one_of(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60),
    st.from_regex(r'("?[a-z]{0,3}"?;?[rtqw]?=?[0-9]{0,5}[,;. ]?){0,6}', fullmatch=True),
    st.sampled_from(['"' * 90_000, "a" * 90_000, ",;" * 45_000, "1," * 45_000, "9999-12-31", "0001-01-01T00:00+23:59"]),
)


@given(st.dictionaries(st.sampled_from(NAMES), JUNK), st.integers(-86_400, 86_400))
def test_no_header_is_too_strange(headers: dict[str, str], shift: int) -> None:
    now = NOW + timedelta(seconds=shift)

    for one in announced(httpx.Headers(headers), now):
        assert 0 <= one.remaining <= 10**9
        assert 0 <= one.reset_s <= 370 * 86_400
        assert one.limit is None or one.limit >= 0
    assert (reset_alone(httpx.Headers(headers), now) or 0) >= 0
