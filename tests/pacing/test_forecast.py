"""When pending work will be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.forecast import forecast

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(1, 10**6), st.floats(1, 10**5), st.booleans())
def test_the_cost_is_one_interval_for_each_item(items: int, interval_ms: float, learned: bool) -> None:
    expected = forecast(items, interval_ms, NOW, learned=learned, not_before=None)

    assert expected.cost == timedelta(milliseconds=items * interval_ms)
    assert expected.done_at == NOW + expected.cost


def test_work_that_may_begin_later_is_done_later() -> None:
    later = NOW + timedelta(hours=1)

    assert forecast(1, 1000, NOW, learned=True, not_before=later).done_at == later + timedelta(seconds=1)


def test_a_guess_is_less_sure_than_what_was_learned() -> None:
    guessed = forecast(100, 1000, NOW, learned=False, not_before=None)
    learned = forecast(100, 1000, NOW, learned=True, not_before=None)

    assert guessed.spread > learned.spread > timedelta(0)


def test_an_end_after_a_long_wait_is_no_surer_than_the_wait_is_long() -> None:
    expected = forecast(1, 1000, NOW, learned=True, not_before=NOW + timedelta(hours=1))

    assert expected.spread > timedelta(minutes=5)


def test_nothing_is_done_before_its_last_request_may_go_out() -> None:
    later = NOW + timedelta(hours=1)

    assert forecast(2, 1000, NOW, learned=True, not_before=None, last_at=later).done_at == later + timedelta(seconds=1)
