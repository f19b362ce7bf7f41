"""Times and ids as platforms give them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chatgpt.fields import identity, iso, millis


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.123456, "2023-11-14T22:13:20.123Z"),
        ("2023-11-14T22:13:20.123456Z", "2023-11-14T22:13:20.123Z"),
        ("2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20.000Z"),
        ("2023-11-14T22:13:20", "2023-11-14T22:13:20.000Z"),
        ("1700000000.123456", "2023-11-14T22:13:20.123Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        ("1700000000123", "2023-11-14T22:13:20.123Z"),
        (0, None),
        (-5.0, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e30, None),
        (True, None),
        (None, None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:59", None),
        ({}, None),
    ],
)
def test_times_become_iso_utc_with_milliseconds_or_unknown(given_time: Any, expected: str | None) -> None:
    assert iso(given_time) == expected


@given(st.floats(1, 4e9))
def test_a_time_is_the_same_instant_as_a_number_and_as_text(seconds: float) -> None:
    assert millis(iso(seconds)) == millis(seconds)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_no_value_breaks_the_reader(value: Any) -> None:
    assert (iso(value) is None) == (millis(value) is None)


@pytest.mark.parametrize("bad", ["", " ", "a b", "..", "../x", "a/b", "x" * 129, "a\x00", "\ud800", 7, None, ["a"]])
def test_what_is_no_id_is_none(bad: Any) -> None:
    assert identity(bad) is None


@pytest.mark.parametrize("good", ["68a1f0c2-4b1c-8004-9d3e-6f5f3f0c1a2b", "WEB:abc", "g-1", "x" * 128])
def test_ids_pass_as_they_are(good: str) -> None:
    assert identity(good) == good
