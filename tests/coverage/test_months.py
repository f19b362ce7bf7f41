"""Each month of a stream has the most serious state that applies."""

from __future__ import annotations

from datetime import UTC, datetime

from pdpp_worker.coverage.months import MOST, MonthState, months_of
from pdpp_worker.coverage.stream import Interval
from pdpp_worker.coverage.verdict import Availability

NOW = datetime(2026, 3, 15, tzinfo=UTC)
JANUARY, FEBRUARY, MARCH = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))
WALKED = [Interval(FEBRUARY, None)]
SUPPLIED = Availability.SUPPLIED


def states(
    walked: list[Interval], held: dict[datetime, int], *missing: Interval, supply: Availability = SUPPLIED
) -> list[str]:
    return [month.state for month in months_of(supply, walked, held, missing, NOW)]


def test_a_month_is_held_missing_empty_or_never_walked() -> None:
    assert states(WALKED, {JANUARY: 2}) == ["held", "empty", "empty"]
    assert states(WALKED, {JANUARY: 2}, Interval(FEBRUARY, MARCH)) == ["held", "missing", "empty"]
    assert states([Interval(MARCH, None)], {JANUARY: 1}) == ["held", "not_walked", "empty"]


def test_a_missing_item_is_in_the_month_of_its_known_time() -> None:
    months = months_of(SUPPLIED, WALKED, {JANUARY: 2}, [], NOW, {JANUARY: 1, MARCH: 3})

    assert [(month.state, month.missing) for month in months] == [("missing", 1), ("empty", 0), ("missing", 3)]


def test_a_period_with_an_open_end_is_missing_until_now() -> None:
    assert states(WALKED, {}, Interval(FEBRUARY, None)) == ["missing", "missing"]


def test_what_the_manifest_never_supplies_is_absent() -> None:
    assert states(WALKED, {}, supply=Availability.NEVER) == ["absent", "absent"]


def test_where_no_periods_are_told_nothing_is_claimed() -> None:
    assert states([], {JANUARY: 1}) == ["held", "unknown", "unknown"]


def test_the_latest_months_are_told_of() -> None:
    months = months_of(SUPPLIED, [], {datetime(1990, 1, 1, tzinfo=UTC): 1}, [], NOW)

    assert (len(months), months[-1].begin) == (MOST, MARCH)
    assert all(month.state is MonthState.UNKNOWN for month in months)
