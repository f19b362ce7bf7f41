"""Which connections stand still, and which only wait, as a function of rows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.coverage.stillness import INTERVALS, LEAST_BOUND, Cause, bound, stillness, untouched
from pdpp_worker.store.views.wait_views import Waits
from tests.support.waits import NOW, active, ago, ahead, waits

times = st.integers(-600, 600).map(ago)
maybe = st.none() | times
any_run = st.none() | st.builds(
    active,
    created_at=st.integers(0, 600).map(ago),
    not_before=times,
    wait_reason=st.none() | st.just("paused"),
    rung_at=maybe,
    leased=st.booleans(),
)
any_waits = st.builds(
    waits,
    hold_until=maybe,
    hold_reason=st.just("held"),
    cooldown_until=maybe,
    run=any_run,
    touched_at=maybe,
    due_at=maybe,
    paused=st.booleans(),
    next_run_at=maybe,
    interval_ms=st.none() | st.floats(1, 3_600_000),
)


def cause(given: Waits, *, installed: bool = True) -> Cause | None:
    found = stillness(given, installed=installed, now=NOW)
    return found.cause if found is not None else None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (waits(run=active(rung_at=ago(1))), Cause.NO_WORKER),
        (waits(run=active(rung_at=None)), Cause.NOT_DISPATCHED),
        (waits(run=active(rung_at=ago(30))), Cause.NOT_DISPATCHED),
        (waits(run=active(leased=True)), Cause.SILENT),
        (waits(run=active(not_before=ahead(30))), Cause.NO_REASON),
        (waits(due_at=ago(10)), Cause.NO_RUN),
        (waits(next_run_at=ago(10)), Cause.NO_RUN),
        (waits(failing_since=ago(10)), Cause.FAILING),
        (waits(failing_since=ago(10), run=active(leased=True), touched_at=ago(0)), Cause.FAILING),
        (waits(due_at=ago(10), hold_until=ago(20), hold_reason="over"), Cause.NO_RUN),
    ],
)
def test_what_stands_still_is_named_with_its_cause(given: Waits, expected: Cause) -> None:
    assert cause(given) is expected


@pytest.mark.parametrize(
    "given",
    [
        waits(),
        waits(due_at=ago(4)),
        waits(run=active(created_at=ago(4))),
        waits(run=active(leased=True), touched_at=ago(1)),
        waits(run=active(not_before=ahead(300), wait_reason="answered 503 three times")),
        waits(run=active(leased=True), hold_until=ahead(1), hold_reason="two refusals in a minute"),
        waits(due_at=ago(10), hold_until=ahead(30), hold_reason="asked to pause (Retry-After)"),
        waits(due_at=ago(600), hold_until=ago(1), hold_reason="just over"),
        waits(due_at=ago(600), cooldown_until=ago(1)),
        waits(due_at=ago(600), next_run_at=ago(10), paused=True),
        waits(due_at=ahead(5), next_run_at=ahead(5)),
    ],
)
def test_what_waits_or_goes_on_is_not_named(given: Waits) -> None:
    assert cause(given) is None


def test_what_waits_for_a_connector_waits_for_the_owner() -> None:
    assert cause(waits(due_at=ago(10)), installed=False) is None


def test_a_slow_connection_may_be_untouched_for_longer() -> None:
    hourly = waits(due_at=ago(300), interval_ms=3_600_000.0)

    assert bound(hourly.interval_ms) == timedelta(hours=INTERVALS)
    assert cause(hourly) is None
    assert bound(None) == bound(10.0) == LEAST_BOUND


@given(any_waits, st.booleans())
def test_what_is_named_is_eligible_and_was_untouched_for_longer_than_its_bound(given: Waits, installed: bool) -> None:
    found = stillness(given, installed=installed, now=NOW)

    if found is not None:
        assert found == untouched(given, installed=installed, now=NOW)
        assert NOW - found.since > bound(given.interval_ms)
        assert given.hold_until is None or given.hold_until <= NOW
        assert given.touched_at is None or given.touched_at <= found.since


@given(any_waits, st.booleans(), times.filter(lambda at: at > NOW))
def test_nothing_is_named_in_a_hold(given: Waits, installed: bool, until: datetime) -> None:
    held = waits(**{**vars(given), "hold_until": until, "hold_reason": "held"})

    assert untouched(held, installed=installed, now=NOW) is None


@given(any_waits, st.booleans())
def test_what_was_touched_just_now_is_not_named(given: Waits, installed: bool) -> None:
    assert stillness(waits(**{**vars(given), "touched_at": NOW}), installed=installed, now=NOW) is None
