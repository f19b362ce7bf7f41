"""A run's status is derived from its streams' outcomes, and never says more than is so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.store.run_status import RunStatus, StreamResult, derive_status, misses_nothing, stream_result
from pdpp_worker.store.stream_counts import StreamCounts

counts = st.sampled_from([0, 0, 1, 2])
skips: st.SearchStrategy[dict[str, int]] = st.just({}) | st.dictionaries(
    st.sampled_from([reason.value for reason in Reason]), st.integers(1, 5), max_size=2
)


@st.composite
def stream_counts(draw: st.DrawFn) -> StreamCounts:
    """The counts of one stream, as the store reads them."""
    flushed, unchanged, rejected = draw(counts), draw(counts), draw(counts)
    staged = draw(st.integers(0, 1))
    total = draw(st.none() | st.integers(0, 9))
    return StreamCounts(
        stream="items",
        emitted=flushed + unchanged + rejected,
        flushed=flushed,
        unchanged=unchanged,
        rejected=rejected,
        staged=staged,
        committed=draw(st.integers(0, staged)),
        progress_count=draw(st.none() | st.integers(0, 9)),
        progress_total=total,
        skipped_by_reason=draw(skips),
        all_gaps_are_resources=draw(st.booleans()),
        holds_records=draw(st.booleans()),
        next_attempt_at=None,
    )


@st.composite
def ends(draw: st.DrawFn) -> StreamResult:
    """How a stream ended."""
    finished = draw(st.booleans())
    return stream_result(
        draw(stream_counts()),
        finished=finished,
        walked=draw(st.booleans()),
        from_scratch=draw(st.booleans()),
        error=draw(st.none() | st.just("it broke")),
    )


runs = st.lists(ends(), min_size=1, max_size=4)
EMPTY = StreamCounts("items", 0, 0, 0, 0, 0, 0, None, None, {}, True, False, None)


def durable(one: StreamResult) -> int:
    """The part of the stream that is in the store."""
    return one.counts.flushed + one.counts.unchanged + one.counts.committed


@given(runs)
def test_a_run_succeeded_exactly_when_nothing_is_missing(streams: list[StreamResult]) -> None:
    succeeded = derive_status(streams, cancelled=False) is RunStatus.SUCCEEDED

    assert succeeded == all(
        one.finished
        and one.unreached == 0
        and not one.counts.skipped_by_reason
        and one.counts.rejected == 0
        and one.counts.staged == one.counts.committed
        for one in streams
    )


@pytest.mark.parametrize("held", [0, 7], ids=["nothing durable", "something durable"])
@pytest.mark.parametrize(
    "missing",
    [
        {"rejected": 1, "emitted": 8},
        {"staged": 1},
        {"skipped_by_reason": {"rate_limited": 1}},
        {"holds_records": True, "flushed": 0},
    ],
    ids=["a refused record", "an uncommitted checkpoint", "an open gap", "an empty answer"],
)
def test_one_thing_that_is_missing_is_enough(missing: dict[str, Any], held: int) -> None:
    whole = stream_result(replace(EMPTY, flushed=7), finished=True, walked=True, from_scratch=True, error=None)
    counts_of_it = replace(replace(EMPTY, flushed=held), **missing)
    lacking = stream_result(counts_of_it, finished=True, walked=True, from_scratch=True, error=None)

    assert derive_status([whole], cancelled=False) is RunStatus.SUCCEEDED
    assert derive_status([whole, lacking], cancelled=False) is RunStatus.PARTIALLY_COMPLETED
    assert derive_status([lacking], cancelled=False) is not RunStatus.SUCCEEDED


@given(runs)
def test_a_run_failed_exactly_when_nothing_is_durable_and_it_is_not_whole(streams: list[StreamResult]) -> None:
    failed = derive_status(streams, cancelled=False) is RunStatus.FAILED

    assert failed == (not any(map(durable, streams)) and not all(map(misses_nothing, streams)))


@given(runs)
def test_everything_between_is_partially_completed(streams: list[StreamResult]) -> None:
    partial = derive_status(streams, cancelled=False) is RunStatus.PARTIALLY_COMPLETED

    assert partial == (any(map(durable, streams)) and not all(map(misses_nothing, streams)))


@given(runs)
def test_the_owners_cancellation_wins(streams: list[StreamResult]) -> None:
    assert derive_status(streams, cancelled=True) is RunStatus.CANCELLED


@given(runs, st.randoms())
def test_the_order_of_the_streams_does_not_matter(streams: list[StreamResult], order: object) -> None:
    shuffled = sorted(streams, key=lambda _: order.random())  # type: ignore[attr-defined]

    assert derive_status(shuffled, cancelled=False) is derive_status(streams, cancelled=False)


@given(runs, ends())
def test_one_more_incomplete_stream_never_makes_a_run_greener(streams: list[StreamResult], worse: StreamResult) -> None:
    assume(not misses_nothing(worse))

    assert derive_status([*streams, worse], cancelled=False) is not RunStatus.SUCCEEDED


@given(stream_counts(), st.booleans(), st.booleans(), st.booleans())
def test_the_counts_of_a_stream_balance(one: StreamCounts, finished: bool, walked: bool, from_scratch: bool) -> None:
    end = stream_result(one, finished=finished, walked=walked, from_scratch=from_scratch, error=None)

    skipped = sum(one.skipped_by_reason.values())
    considered = one.emitted + skipped + end.unreached
    assert considered == one.flushed + one.unchanged + one.rejected + skipped + end.unreached
    assert end.unreached >= 0


@given(stream_counts(), st.booleans())
def test_what_cannot_be_known_is_unknown_and_never_zero(one: StreamCounts, finished: bool) -> None:
    end = stream_result(one, finished=finished, walked=True, from_scratch=False, error=None)

    known = one.all_gaps_are_resources if finished else one.progress_total is not None
    assert (end.missing is not None) == known


@given(stream_counts())
def test_an_unfinished_stream_counts_what_it_did_not_reach(one: StreamCounts) -> None:
    assume(one.progress_total is not None)
    end = stream_result(one, finished=False, walked=True, from_scratch=False, error=None)

    assert end.unreached == max(0, (one.progress_total or 0) - (one.progress_count or 0))
    assert end.missing == end.unreached + sum(one.skipped_by_reason.values()) + one.rejected


class TestFindingNothing:
    """An empty answer is more often a broken source than an emptied account."""

    def test_where_records_are_held_is_not_believed(self) -> None:
        held = replace(EMPTY, holds_records=True)
        end = stream_result(held, finished=True, walked=True, from_scratch=True, error=None)

        assert (end.finished, end.missing) == (False, None)
        assert "found nothing" in (end.error or "")
        assert derive_status([end], cancelled=False) is RunStatus.FAILED

    def test_in_an_empty_account_is_a_success(self) -> None:
        end = stream_result(EMPTY, finished=True, walked=True, from_scratch=True, error=None)

        assert derive_status([end], cancelled=False) is RunStatus.SUCCEEDED

    def test_new_since_the_cursor_is_a_success(self) -> None:
        held = replace(EMPTY, holds_records=True)
        end = stream_result(held, finished=True, walked=True, from_scratch=False, error=None)

        assert derive_status([end], cancelled=False) is RunStatus.SUCCEEDED

    def test_in_a_run_that_only_recovers_is_a_success(self) -> None:
        held = replace(EMPTY, holds_records=True)
        end = stream_result(held, finished=True, walked=False, from_scratch=True, error=None)

        assert derive_status([end], cancelled=False) is RunStatus.SUCCEEDED

    def test_but_saying_what_was_skipped_is_believed(self) -> None:
        skipped = replace(EMPTY, holds_records=True, skipped_by_reason={"rate_limited": 2})
        end = stream_result(skipped, finished=True, walked=True, from_scratch=True, error=None)

        assert (end.finished, end.missing) == (True, 2)


def test_a_gap_about_a_batch_makes_the_number_missing_unknown() -> None:
    gap = replace(EMPTY, skipped_by_reason={"timed_out": 1}, all_gaps_are_resources=False)

    assert stream_result(gap, finished=True, walked=True, from_scratch=False, error=None).missing is None


def test_a_gap_that_is_tried_later_is_missing_now() -> None:
    later = replace(EMPTY, flushed=9, skipped_by_reason={"timed_out": 1}, next_attempt_at=datetime.now(UTC))
    end = stream_result(later, finished=True, walked=True, from_scratch=False, error=None)

    assert derive_status([end], cancelled=False) is RunStatus.PARTIALLY_COMPLETED
