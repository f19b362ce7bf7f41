"""A run's status is derived from its streams' outcomes, and never says more than is so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.runtime.outcome import RunStatus, close_stream, derive_status, misses_nothing
from pdpp_worker.store.endings import StreamBooks, StreamEnd

counts = st.sampled_from([0, 0, 1, 2])
skips = st.just({}) | st.dictionaries(
    st.sampled_from([reason.value for reason in Reason]), st.integers(1, 5), max_size=2
)


@st.composite
def books(draw: st.DrawFn) -> StreamBooks:
    """The books of one stream as the store counts them."""
    flushed, unchanged, rejected = draw(counts), draw(counts), draw(counts)
    staged = draw(st.integers(0, 1))
    total = draw(st.none() | st.integers(0, 9))
    return StreamBooks(
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
def ends(draw: st.DrawFn) -> StreamEnd:
    """How a stream ended."""
    finished = draw(st.booleans())
    return close_stream(
        draw(books()),
        finished=finished,
        walked=draw(st.booleans()),
        from_scratch=draw(st.booleans()),
        error=draw(st.none() | st.just("it broke")),
    )


runs = st.lists(ends(), min_size=1, max_size=4)
EMPTY = StreamBooks("items", 0, 0, 0, 0, 0, 0, None, None, {}, True, False, None)


def durable(one: StreamEnd) -> int:
    """What of the stream is in the store."""
    return one.books.flushed + one.books.unchanged + one.books.committed


@given(runs)
def test_a_run_succeeded_exactly_when_nothing_is_missing(streams: list[StreamEnd]) -> None:
    succeeded = derive_status(streams, cancelled=False) is RunStatus.SUCCEEDED

    assert succeeded == all(
        one.finished
        and one.unreached == 0
        and not one.books.skipped_by_reason
        and one.books.rejected == 0
        and one.books.staged == one.books.committed
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
    whole = close_stream(replace(EMPTY, flushed=7), finished=True, walked=True, from_scratch=True, error=None)
    books_of_it = replace(replace(EMPTY, flushed=held), **missing)
    lacking = close_stream(books_of_it, finished=True, walked=True, from_scratch=True, error=None)

    assert derive_status([whole], cancelled=False) is RunStatus.SUCCEEDED
    assert derive_status([whole, lacking], cancelled=False) is RunStatus.PARTIALLY_COMPLETED
    assert derive_status([lacking], cancelled=False) is not RunStatus.SUCCEEDED


@given(runs)
def test_a_run_failed_exactly_when_nothing_is_durable_and_it_is_not_whole(streams: list[StreamEnd]) -> None:
    failed = derive_status(streams, cancelled=False) is RunStatus.FAILED

    assert failed == (not any(map(durable, streams)) and not all(map(misses_nothing, streams)))


@given(runs)
def test_everything_between_is_partially_completed(streams: list[StreamEnd]) -> None:
    partial = derive_status(streams, cancelled=False) is RunStatus.PARTIALLY_COMPLETED

    assert partial == (any(map(durable, streams)) and not all(map(misses_nothing, streams)))


@given(runs)
def test_the_owners_cancellation_wins(streams: list[StreamEnd]) -> None:
    assert derive_status(streams, cancelled=True) is RunStatus.CANCELLED


@given(runs, st.randoms())
def test_the_order_of_the_streams_does_not_matter(streams: list[StreamEnd], order: object) -> None:
    shuffled = sorted(streams, key=lambda _: order.random())  # type: ignore[attr-defined]

    assert derive_status(shuffled, cancelled=False) is derive_status(streams, cancelled=False)


@given(runs, ends())
def test_one_more_incomplete_stream_never_makes_a_run_greener(streams: list[StreamEnd], worse: StreamEnd) -> None:
    assume(not misses_nothing(worse))

    assert derive_status([*streams, worse], cancelled=False) is not RunStatus.SUCCEEDED


@given(books(), st.booleans(), st.booleans(), st.booleans())
def test_the_books_of_a_stream_balance(one: StreamBooks, finished: bool, walked: bool, from_scratch: bool) -> None:
    end = close_stream(one, finished=finished, walked=walked, from_scratch=from_scratch, error=None)

    skipped = sum(one.skipped_by_reason.values())
    considered = one.emitted + skipped + end.unreached
    assert considered == one.flushed + one.unchanged + one.rejected + skipped + end.unreached
    assert end.unreached >= 0


@given(books(), st.booleans())
def test_what_cannot_be_known_is_unknown_and_never_zero(one: StreamBooks, finished: bool) -> None:
    end = close_stream(one, finished=finished, walked=True, from_scratch=False, error=None)

    known = one.all_gaps_are_resources if finished else one.progress_total is not None
    assert (end.missing is not None) == known


@given(books())
def test_an_unfinished_stream_counts_what_it_did_not_reach(one: StreamBooks) -> None:
    assume(one.progress_total is not None)
    end = close_stream(one, finished=False, walked=True, from_scratch=False, error=None)

    assert end.unreached == max(0, (one.progress_total or 0) - (one.progress_count or 0))
    assert end.missing == end.unreached + sum(one.skipped_by_reason.values()) + one.rejected


class TestFindingNothing:
    """An empty answer is more often a broken source than an emptied account."""

    def test_where_records_are_held_is_not_believed(self) -> None:
        held = replace(EMPTY, holds_records=True)
        end = close_stream(held, finished=True, walked=True, from_scratch=True, error=None)

        assert (end.finished, end.missing) == (False, None)
        assert "found nothing" in (end.error or "")
        assert derive_status([end], cancelled=False) is RunStatus.FAILED

    def test_in_an_empty_account_is_a_success(self) -> None:
        end = close_stream(EMPTY, finished=True, walked=True, from_scratch=True, error=None)

        assert derive_status([end], cancelled=False) is RunStatus.SUCCEEDED

    def test_new_since_the_cursor_is_a_success(self) -> None:
        held = replace(EMPTY, holds_records=True)
        end = close_stream(held, finished=True, walked=True, from_scratch=False, error=None)

        assert derive_status([end], cancelled=False) is RunStatus.SUCCEEDED

    def test_in_a_run_that_only_recovers_is_a_success(self) -> None:
        held = replace(EMPTY, holds_records=True)
        end = close_stream(held, finished=True, walked=False, from_scratch=True, error=None)

        assert derive_status([end], cancelled=False) is RunStatus.SUCCEEDED

    def test_but_saying_what_was_skipped_is_believed(self) -> None:
        skipped = replace(EMPTY, holds_records=True, skipped_by_reason={"rate_limited": 2})
        end = close_stream(skipped, finished=True, walked=True, from_scratch=True, error=None)

        assert (end.finished, end.missing) == (True, 2)


def test_a_gap_about_a_batch_makes_the_number_missing_unknown() -> None:
    gap = replace(EMPTY, skipped_by_reason={"timed_out": 1}, all_gaps_are_resources=False)

    assert close_stream(gap, finished=True, walked=True, from_scratch=False, error=None).missing is None


def test_a_gap_that_is_tried_later_is_missing_now() -> None:
    later = replace(EMPTY, flushed=9, skipped_by_reason={"timed_out": 1}, next_attempt_at=datetime.now(UTC))
    end = close_stream(later, finished=True, walked=True, from_scratch=False, error=None)

    assert derive_status([end], cancelled=False) is RunStatus.PARTIALLY_COMPLETED
