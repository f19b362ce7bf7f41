"""The walk over a list that changes while it is read and lies, against a model of the list in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chatgpt.errors import ListEmptiedError
from connectors.chatgpt.known import Item
from connectors.chatgpt.listing import MAX_PASSES, Page, Walk

BEGINNING = 1_700_000_000_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Model:
    """A list that serves pages of `size` in the order of `rank` and remembers nothing of its readers."""

    size: int = 100
    times: dict[str, int] = field(default_factory=dict)
    rank: Callable[[str], Any] | None = None
    counts: bool = True
    clock: int = BEGINNING
    reads: int = 0

    def read(self, offset: int) -> Page:
        self.reads += 1
        rank = self.rank or (lambda name: (-self.times[name], name))
        ranked = sorted(self.times, key=rank)[offset : offset + self.size]
        return Page([Item(name, self.times[name], {}) for name in ranked], len(self.times) if self.counts else None)

    def put(self, name: str, *, tick: int = 1) -> None:
        self.clock += tick
        self.times[name] = self.clock

    def change(self, kind: str, pick: int, tick: int) -> None:
        if kind == "new":
            self.put(f"new-{self.clock}-{len(self.times)}-{pick}", tick=tick)
        elif kind == "late":
            self.times[f"late-{self.clock}-{len(self.times)}-{pick}"] = BEGINNING - pick
        elif self.times:
            newest_first = sorted(self.times, key=lambda one: -self.times[one])
            name = newest_first[pick % len(newest_first)]
            if kind == "update":
                self.put(name, tick=1)
            else:
                del self.times[name]


def walk_of(saved: dict[str, Any] | None = None, *, later: timedelta = timedelta()) -> Walk:
    return Walk(saved or {}, lambda: NOON + later)


def handed_out(walk: Walk, read: Callable[[int], Page], limit: int | None = None) -> Iterator[Item]:
    """The items that a walk hands out, handled one by one; cut before it is told to go on after `limit` of them."""
    items = (step.item for step in walk.steps(read) if step.item is not None)
    for item in islice(items, limit):
        walk.known.add(item)
        yield item


def run(walk: Walk, read: Callable[[int], Page], limit: int | None = None) -> list[str]:
    """Their ids."""
    return [item.id for item in handed_out(walk, read, limit)]


def resumed(walk: Walk, **options: Any) -> Walk:
    """A walk of a later slice, from what a cursor kept of this one."""
    return walk_of(json.loads(json.dumps(walk.as_json())), **options)


def listed(items: Sequence[Item | None], total: int | None = None) -> Callable[[int], Page]:
    return lambda offset: Page(items[offset : offset + 100], total)


CHANGE = st.tuples(st.sampled_from(["new", "update", "delete", "late"]), st.integers(0, 99), st.integers(0, 1))
PURGE = st.integers(1, 20).map(lambda count: [("delete", 0, 0)] * count)
BURSTS = st.lists(st.lists(CHANGE, max_size=15) | PURGE, max_size=12)
"""The changes before each page read; then nothing more happens."""
RANKS: list[Callable[[str], Any] | None] = [None, lambda name: name, lambda name: name[::-1]]


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(0, 90),
    equal=st.integers(1, 40),
    size=st.integers(7, 20),
    rank=st.sampled_from(RANKS),
    counts=st.booleans(),
    bursts=BURSTS,
    cuts=st.lists(st.integers(1, 15), max_size=20),
)
def test_nothing_is_lost_however_the_list_changes_and_is_ordered_and_the_walk_is_cut(
    count: int,
    equal: int,
    size: int,
    rank: Callable[[str], Any] | None,
    counts: bool,
    bursts: list[list[tuple[str, int, int]]],
    cuts: list[int],
) -> None:
    model = Model(size, {f"old-{n}": BEGINNING - n // equal for n in range(count)}, rank, counts)
    held: dict[str, int] = {}

    def read(offset: int) -> Page:
        for change in bursts.pop(0) if bursts else []:
            model.change(*change)
        return model.read(offset)

    walk, quiet = walk_of(), 0
    while quiet < 2:
        quiet += not bursts and not cuts
        walk = resumed(walk, later=timedelta(days=quiet))
        with suppress(ListEmptiedError):
            for item in handed_out(walk, read, cuts.pop(0) if cuts else None):
                held[item.id] = item.time or 0

    assert {name: held.get(name) for name in model.times} == model.times


def test_a_second_walk_hands_out_only_what_changed() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - n for n in range(250)})
    walk = walk_of()
    run(walk, model.read)
    model.put("old-77")
    model.put("fresh")
    before = model.reads

    assert run(resumed(walk), model.read) == ["fresh", "old-77"]
    assert model.reads - before == 2


@pytest.mark.parametrize("place", [0, 93, 95, 99, 100, 140, 199, 248])
@pytest.mark.parametrize("cut", [None, 60, 150, 220])
def test_an_old_item_out_of_its_place_neither_loses_another_nor_holds_up_the_walk(place: int, cut: int | None) -> None:
    items: list[Item | None] = [Item(f"n{n}", BEGINNING - n, {}) for n in range(249)]
    items.insert(place, Item("stray", 5, {}))
    walk = walk_of()

    handed = [*run(walk, listed(items, 250), cut), *run(resumed(walk), listed(items, 250))]

    assert sorted(handed) == sorted(item.id for item in items if item)


def test_a_list_that_ignores_the_order_is_handed_out_once_and_the_walk_ends() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - (n * 37) % 251 for n in range(250)}, rank=lambda name: name)

    handed = run(walk_of(), model.read)

    assert sorted(handed) == sorted(model.times)
    assert model.reads <= 6


def test_an_item_that_appears_late_among_old_ones_is_found_by_the_next_walk() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - n for n in range(250)})
    walk = walk_of()
    run(walk, model.read)
    model.times["late"] = BEGINNING - 240

    assert run(resumed(walk), model.read) == ["late"]


def test_an_item_that_takes_the_place_of_a_deleted_one_is_found_within_a_day() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - n for n in range(250)})
    walk = walk_of()
    run(walk, model.read)
    del model.times["old-200"]
    model.times["late"] = BEGINNING - 240

    assert run(resumed(walk, later=timedelta(days=1)), model.read) == ["late"]


def test_a_short_page_is_no_end_while_the_list_counts_more() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - n for n in range(300)})

    def read(offset: int) -> Page:
        page = model.read(offset)
        return Page(page.rows[:5], page.total) if offset == 95 else page

    walk = walk_of()

    assert len(run(walk, read)) == 300
    assert walk.last.is_short_cut


def test_a_list_that_names_less_than_it_counts_is_not_whole_and_is_walked_again() -> None:
    items = [Item(f"n{n}", BEGINNING - n, {}) for n in range(105)]
    walk = walk_of()
    run(walk, listed(items, 300))

    assert not walk.last.is_whole
    assert run(resumed(walk), listed([*items, Item("m", 7, {})], 106)) == ["m"]


def test_pages_that_do_not_join_are_not_whole_although_their_items_are_handed_out() -> None:
    def read(offset: int) -> Page:
        return Page([Item(f"{offset}-{n}", None, {}) for n in range(100)][: max(0, 300 - offset)], 300)

    walk = walk_of()

    assert run(walk, read)
    assert not walk.last.is_whole


def test_a_list_that_ignores_the_offset_is_not_whole_and_the_walk_ends() -> None:
    items = [Item(f"n{n}", BEGINNING - n, {}) for n in range(30)]
    walk = walk_of()

    assert len(run(walk, lambda _: Page(items))) == 30
    assert not walk.last.is_whole


def test_items_of_one_time_are_told_apart_and_the_cursor_grows_by_eleven_characters_each() -> None:
    model = Model(10, {f"{n:03}": BEGINNING for n in range(45)})
    walk = walk_of()
    handed: list[str] = []
    for _ in range(45):
        handed += run(walk, model.read, 1)
        walk = resumed(walk)

    assert sorted(handed) == sorted(model.times)
    assert len(json.dumps(walk.as_json())) < 45 * 11 + 100


def test_a_change_that_does_not_move_the_time_is_seen_by_what_the_list_says() -> None:
    walk = walk_of()
    run(walk, listed([Item("a", BEGINNING, {}, (("title", "x"),))], 1))

    assert run(resumed(walk), listed([Item("a", BEGINNING, {}, (("title", "y"),))], 1)) == ["a"]


def test_a_list_that_became_empty_is_believed_by_the_second_walk() -> None:
    walk = walk_of()
    run(walk, listed([Item("a", BEGINNING, {})], 1))
    walk = resumed(walk)
    with pytest.raises(ListEmptiedError):
        run(walk, listed([], 0))

    assert run(resumed(walk), listed([], 0)) == []


def test_a_list_that_was_always_empty_is_walked_to_its_end() -> None:
    assert [step.item for step in walk_of().steps(lambda _: Page([]))] == [None]


def test_a_platform_that_counts_reading_as_an_update_does_not_keep_the_walk_going() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - n for n in range(5)})
    walk, handed = walk_of(), 0
    for step in walk.steps(model.read):
        if step.item is not None:
            handed += 1
            walk.known.add(step.item)
            model.put(step.item.id)

    assert handed == MAX_PASSES * 5


OLD_FLOOR = {"floor": {"time": BEGINNING - 10, "ids": ["n10"]}, "index": 0}
OLD_MIDDLE = {
    "floor": {"time": BEGINNING - 200, "ids": []},
    "top": {"time": BEGINNING, "ids": []},
    "mark": {"time": BEGINNING - 150, "ids": ["n150"]},
    "index": 151,
}


@pytest.mark.parametrize(
    ("position", "left"), [(OLD_FLOOR, range(10)), (OLD_MIDDLE, range(151, 201)), ({"index": 0}, range(250))]
)
def test_a_position_of_an_earlier_version_is_brought_along(position: dict[str, Any], left: range) -> None:
    model = Model(100, {f"n{n}": BEGINNING - n for n in range(250)})
    walk = walk_of({"before": position})

    handed = [*run(walk, model.read, 1), *run(resumed(walk), model.read)]

    assert sorted(handed) == sorted(f"n{n}" for n in left)
