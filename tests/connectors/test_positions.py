"""A place moves only past what was read, whatever the provider does in between, and stays small."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.connector.positions import (
    RANGES,
    TAIL_BYTES,
    TIES,
    ByteOffset,
    HighWater,
    PagePlace,
    Ranges,
    next_page,
    raised,
    stepped_back,
    unread,
    whole_lines,
    window_after,
    with_numbers,
)

NOW = 10.0
items = st.lists(st.tuples(st.integers(0, 14).map(float), st.text("abcdef", min_size=1, max_size=2)), max_size=20)


@given(before=items, after=items)
def test_a_mark_passes_nothing_that_was_not_read(
    before: list[tuple[float, str]], after: list[tuple[float, str]]
) -> None:
    mark = raised(None, before, NOW)

    unread_items = [(at, key) for at, key in after if mark is None or mark.is_new(at, key)]

    latest = max((at for at, _ in before if at <= NOW), default=-1.0)
    assert {one for one in after if one[0] >= latest and one not in before} <= set(unread_items)


@given(before=items)
def test_a_mark_hands_out_nothing_of_its_instant_twice_and_is_never_in_the_future(
    before: list[tuple[float, str]],
) -> None:
    mark = raised(None, before, NOW)

    assert mark is None or mark.at <= NOW
    assert [one for one in before if one[0] <= NOW and mark is not None and mark.is_new(*one)] == []


@given(one=items, other=items)
def test_a_mark_is_the_same_in_one_go_and_in_two(one: list[tuple[float, str]], other: list[tuple[float, str]]) -> None:
    assert raised(raised(None, one, NOW), other, NOW) == raised(None, [*one, *other], NOW)


def test_more_ties_than_are_kept_are_read_again_and_not_passed() -> None:
    mark = raised(None, [(1.0, str(number)) for number in range(TIES + 5)], NOW)

    assert mark is not None
    assert mark.is_new(1.0, "another")
    assert len(json.dumps(mark)) < TIES * 10


@given(at=st.floats(-5, 50), now=st.floats(0, 40), overlap=st.floats(0, 10))
def test_a_window_has_both_ends_and_reaches_from_before_the_mark_to_now(at: float, now: float, overlap: float) -> None:
    window = window_after(HighWater(at), now, overlap=overlap)

    assert window.until == now
    assert window.since <= now
    assert window.since <= max(0.0, min(at, now) - overlap)


@given(
    size=st.integers(1, 6),
    overlap=st.integers(1, 8),
    count=st.integers(0, 40),
    removed=st.lists(st.integers(0, 45), max_size=12),
)
def test_pages_that_shift_while_they_are_read_hide_nothing(
    size: int, overlap: int, count: int, removed: list[int]
) -> None:
    listed, gone = [str(number) for number in range(count)], list(removed)
    place, met = PagePlace(), set[str]()
    for _ in range(2000):
        page = listed[place.offset : place.offset + size]
        if not place.joins(page) and (back := stepped_back(place, size)) is not None:
            place = back
            continue
        met.update(page)
        if place.offset + len(page) >= len(listed):
            break
        place = next_page(place, page, overlap=overlap)
        if gone and (at := gone.pop()) < len(listed):
            del listed[at]

    if size > 1:  # pages of one item cannot overlap
        assert met >= set(listed)


@given(batches=st.lists(st.lists(st.integers(1, 60), max_size=10), max_size=6), asked=st.sets(st.integers(1, 60)))
def test_numbers_that_were_kept_back_are_asked_for_again(batches: list[list[int]], asked: set[int]) -> None:
    ranges: Ranges = ()
    for batch in batches:
        ranges = with_numbers(ranges, batch)

    assert list(unread(ranges, asked)) == sorted(asked - {one for batch in batches for one in batch})
    assert all(first <= last and last + 1 < after for (first, last), (after, _) in pairwise(ranges))


def test_ranges_stay_few_and_forget_towards_reading_again() -> None:
    numbers = [*range(1, 4 * RANGES, 2), *range(10_000, 11_000)]

    ranges = with_numbers((), numbers)

    assert len(ranges) == RANGES
    assert (10_000, 10_999) in ranges
    assert {one for first, last in ranges for one in range(first, last + 1)} <= set(numbers)


@given(text=st.binary(max_size=300).map(lambda raw: raw.replace(b"\x00", b"\n")), cuts=st.lists(st.integers(0, 300)))
def test_lines_are_read_once_and_whole_wherever_the_file_ends_meanwhile(text: bytes, cuts: list[int]) -> None:
    place, lines = ByteOffset(), list[bytes]()
    for end in [*sorted(cuts), len(text)]:
        assert place.holds(text[max(0, place.at - TAIL_BYTES) : place.at])
        found, place = whole_lines(place, text[: place.at], text[place.at : end])
        lines += found

    assert lines == text.split(b"\n")[:-1]


def test_a_rewritten_file_is_known() -> None:
    _, place = whole_lines(ByteOffset(), b"", b"one\ntwo\nhalf")

    assert (place.at, place.holds(b"one\ntwo\n"), place.holds(b"one\nTwo\n")) == (8, True, False)
