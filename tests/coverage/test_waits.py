"""When a connection goes on, and when a gap is tried next, as functions of rows."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.coverage.waits import PROVIDERS_PAUSE, UNKNOWN, Wait, next_try, wait_of
from pdpp_worker.store.views.wait_views import Waits
from tests.support.waits import NOW, active, ago, ahead, waits

times = st.integers(-600, 600).map(ago)
any_run = st.none() | st.builds(
    active, not_before=times, wait_reason=st.none() | st.just("paused"), leased=st.booleans()
)
any_waits = st.builds(
    waits,
    hold_until=st.none() | times,
    hold_reason=st.just("held"),
    cooldown_until=st.none() | times,
    pressed=st.booleans(),
    run=any_run,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (waits(), None),
        (
            waits(hold_until=ahead(5), hold_reason="answered 503 three times"),
            Wait(ahead(5), "answered 503 three times"),
        ),
        (waits(hold_until=ago(1), hold_reason="over"), None),
        (waits(run=active(not_before=ahead(9), wait_reason="paused")), Wait(ahead(9), "paused")),
        (waits(run=active(not_before=ahead(9))), Wait(ahead(9), UNKNOWN)),
        (waits(run=active(not_before=ahead(9), leased=True)), None),
        (waits(cooldown_until=ahead(3), pressed=True), Wait(ahead(3), PROVIDERS_PAUSE)),
        (waits(cooldown_until=ahead(3)), None),
        (waits(cooldown_until=ahead(3), pressed=True, run=active()), None),
    ],
)
def test_the_wait_that_is_in_force(given: Waits, expected: Wait | None) -> None:
    assert wait_of(given, NOW) == expected


def test_of_several_waits_the_one_that_ends_last_is_told() -> None:
    held = waits(hold_until=ahead(5), hold_reason="hold", run=active(not_before=ahead(9), wait_reason="run"))

    assert wait_of(held, NOW) == Wait(ahead(9), "run")


@given(any_waits)
def test_a_wait_that_is_over_is_never_told(given: Waits) -> None:
    wait = wait_of(given, NOW)

    assert wait is None or wait.until > NOW


@given(any_waits, times, st.sampled_from(["rate_limited", "timed_out"]))
def test_no_gap_is_tried_before_its_time_or_in_a_wait(given: Waits, own: datetime, reason: str) -> None:
    wait = wait_of(given, NOW)

    found = next_try(own, reason, wait, given.cooldown_until, NOW)

    assert found is not None
    assert found >= own
    assert wait is None or found >= wait.until


def test_what_the_provider_refused_waits_for_its_pause_and_nothing_else_does() -> None:
    assert next_try(ago(5), "rate_limited", None, ahead(30), NOW) == ahead(30)
    assert next_try(ago(5), "timed_out", None, ahead(30), NOW) == ago(5)


def test_what_has_no_time_has_none_in_a_wait_either() -> None:
    assert next_try(None, "timed_out", Wait(ahead(5), "held"), ahead(9), NOW) is None
