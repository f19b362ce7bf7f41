"""When a slice must stop, and which waits for a request it refuses."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import Mock

import pytest

from pdpp_worker.errors import UpstreamError
from pdpp_worker.pacing.counts import RequestCounts
from pdpp_worker.runtime.heartbeat import Heartbeat
from pdpp_worker.runtime.limits import SliceLimits
from pdpp_worker.runtime.time_limits import BudgetSpent, SliceEnded, TimeLimits
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database

CLAIM = Claim(connection_id=1, run_id=1, token=1, holder="test", lease_s=60.0)


def limits(*, budget_s: float | None = None, idle_timeout_s: float = 60.0, **given: Any) -> SliceLimits:
    """The limits of a slice whose heartbeat is not started: no database is asked."""
    return SliceLimits(
        Heartbeat(Mock(spec=Database), CLAIM, idle_timeout_s=idle_timeout_s),
        TimeLimits(60.0, budget_s),
        RequestCounts(),
        max_requests=given.get("max_requests"),
        has_failed_enough=lambda: given.get("failed_enough", False),
        stopping=lambda: given.get("stopping", False),
    )


def wait(one: SliceLimits) -> None:
    """Wait for the turn of a request that has come already."""
    one.wait_until(time.monotonic(), None)


def test_a_request_is_sent_while_the_budget_has_one_left() -> None:
    one = limits(max_requests=3)
    one.requests.sent = 2

    wait(one)


def test_no_request_is_sent_beyond_the_budget() -> None:
    one = limits(max_requests=3)
    one.requests.sent = 3

    with pytest.raises(BudgetSpent):
        wait(one)


def test_without_a_budget_any_number_of_requests_is_sent() -> None:
    one = limits()
    one.requests.sent = 10**6

    wait(one)


def test_no_request_is_sent_where_they_only_fail() -> None:
    with pytest.raises(SliceEnded):
        wait(limits(failed_enough=True))


def test_nothing_stops_a_slice_in_good_order() -> None:
    one = limits()

    one.check()

    assert not one.must_stop


@pytest.mark.parametrize("flag", ["lost", "cancelled"])
def test_a_slice_stops_when_its_lease_is_lost_or_its_owner_cancels(flag: str) -> None:
    one = limits()
    setattr(one.heartbeat, flag, True)

    with pytest.raises(SliceEnded):
        one.check()
    with pytest.raises(SliceEnded):
        wait(one)


def test_a_slice_stops_when_the_worker_shuts_down() -> None:
    with pytest.raises(SliceEnded):
        limits(stopping=True).check()


def test_a_slice_stops_when_its_time_is_spent() -> None:
    assert limits(budget_s=0.0).must_stop


def test_a_connector_that_is_idle_for_too_long_has_timed_out() -> None:
    with pytest.raises(UpstreamError, match="silent") as failure:
        limits(idle_timeout_s=0.0).check()

    assert failure.value.reason == "timed_out"


def test_a_wait_for_the_pacing_is_no_idleness() -> None:
    one = limits()
    one.heartbeat._heard_at -= 3600

    one.wait_until(time.monotonic() + 0.001, None)

    assert not one.heartbeat.is_idle
