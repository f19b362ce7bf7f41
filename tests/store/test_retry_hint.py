"""A retry hint says when going on is worth it; None where time alone fixes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pdpp_worker import clock
from pdpp_worker.store.retry_hint import MAX_BUDGET_S, needed_budget_s, retry_hint
from pdpp_worker.store.run_status import StreamResult
from pdpp_worker.store.stream_counts import StreamCounts

EMPTY = StreamCounts("items", 0, 0, 0, 0, 0, 0, None, None, {}, True, False, None)
WHOLE = StreamResult(EMPTY, finished=True, unreached=0, missing=0, error=None)
SOON = datetime(2026, 1, 1, tzinfo=UTC)


def with_gaps(next_attempt_at: datetime | None, missing: int | None = 1, **reasons: int) -> StreamResult:
    """A stream with gaps for these reasons, of which the first is tried again then."""
    counts = replace(EMPTY, next_attempt_at=next_attempt_at, skipped_by_reason=reasons)
    return replace(WHOLE, counts=counts, missing=missing)


def hint(*results: StreamResult, out_of_budget: bool = False, needed_s: float | None = None) -> dict[str, Any] | None:
    """The hint of a run with these streams, of which one part of the source failed."""
    return retry_hint(results, [{"year": 2020}], out_of_budget=out_of_budget, needed_s=needed_s)


def test_a_whole_run_needs_no_retry() -> None:
    assert hint(WHOLE) is None


def test_gaps_that_no_time_fixes_give_no_hint() -> None:
    assert hint(with_gaps(None, parse_failed=1)) is None


def test_the_first_gap_that_is_due_sets_the_time() -> None:
    later = with_gaps(SOON + timedelta(hours=1), missing=2, timed_out=2)

    assert hint(with_gaps(SOON, rate_limited=1), later) == {
        "not_before": SOON.isoformat(),
        "exclude": [{"year": 2020}],
        "remaining_estimate": 3,
        "why": "rate_limited, timed_out",
    }


def test_what_nobody_can_count_is_not_estimated() -> None:
    found = hint(with_gaps(SOON, missing=None, rate_limited=1), WHOLE)

    assert found is not None
    assert found["remaining_estimate"] is None


def test_a_run_without_budget_goes_on_at_once() -> None:
    before = clock.now()

    found = hint(replace(WHOLE, finished=False), out_of_budget=True)

    assert found is not None
    assert found["why"] == "run_budget_deferred"
    assert datetime.fromisoformat(found["not_before"]) >= before


def test_a_run_whose_budget_ended_with_its_streams_needs_no_retry() -> None:
    assert hint(WHOLE, out_of_budget=True) is None


def test_a_budget_that_was_too_small_is_named() -> None:
    found = hint(replace(WHOLE, finished=False), out_of_budget=True, needed_s=120.0)

    assert found is not None
    assert found["budget_s"] == 120.0


def test_a_needed_budget_follows_from_progress_is_at_least_twice_as_much_and_bounded() -> None:
    def needed(count: int | None, total: int | None) -> float:
        return needed_budget_s(60.0, [replace(EMPTY, progress_count=count, progress_total=total)])

    assert needed(10, 100) == 60.0 * 1.25 * 10
    assert needed(90, 100) == 120.0
    assert needed(None, None) == 120.0
    assert needed(1, 10**9) == MAX_BUDGET_S
