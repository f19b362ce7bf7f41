"""The walk over a list that changes while it is read, against a model of the list in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chatgpt.errors import ListEmptiedError
from connectors.chatgpt.listing import MAX_PASSES, Boundary, Item, Page, Position, walk
from pdpp_worker.connector import ShapeError

BEGINNING = 1_700_000_000_000


@dataclass
class Model:
    """A list sorted newest first that serves pages of `size` and remembers nothing of its readers."""

    size: int
    times: dict[str, int] = field(default_factory=dict)
    clock: int = BEGINNING
    reads: int = 0

    def read(self, offset: int) -> Page:
        self.reads += 1
        ranked = sorted(self.times.items(), key=lambda one: (-one[1], one[0]))
        items = [Item(name, time, {}) for name, time in ranked[offset : offset + self.size]]
        return Page(items, total=len(ranked))

    def put(self, name: str, *, tick: int = 1) -> None:
        self.clock += tick
        self.times[name] = self.clock

    def change(self, kind: str, pick: int, tick: int) -> None:
        if kind == "new":
            self.put(f"new-{self.clock}-{len(self.times)}-{pick}", tick=tick)
        elif self.times:
            newest_first = sorted(self.times, key=lambda one: -self.times[one])
            name = newest_first[pick % len(newest_first)]
            if kind == "update":
                self.put(name, tick=1)
            else:
                del self.times[name]


CHANGE = st.tuples(st.sampled_from(["new", "update", "delete"]), st.integers(0, 99), st.integers(0, 1))
PURGE = st.integers(1, 20).map(lambda count: [("delete", 0, 0)] * count)
BURSTS = st.lists(st.lists(CHANGE, max_size=15) | PURGE, max_size=12)
"""The changes before each page read; then nothing more happens."""


@dataclass
class ChangingList:
    """A model that changes between reads, and a reader whose walk is cut and resumed from its saved position."""

    model: Model
    bursts: list[list[tuple[str, int, int]]]
    cuts: list[int]
    position: Position = field(default_factory=Position)
    held: dict[str, int] = field(default_factory=dict)
    seen_at_top: dict[str, int] = field(default_factory=dict)

    def read(self, offset: int) -> Page:
        if self.bursts:
            for kind, pick, tick in self.bursts.pop(0):
                self.model.change(kind, pick, tick)
        if offset == 0:
            self.seen_at_top = dict(self.model.times)
        return self.model.read(offset)

    def run(self) -> None:
        """Walk to the end, however often the walk is cut or gives up on a list that looks wrong."""
        while True:
            try:
                if self._slice(self.cuts.pop(0) if self.cuts else None):
                    return
            except ShapeError:
                continue

    def _slice(self, limit: int | None) -> bool:
        passes = 0
        for count, step in enumerate(walk(self.read, self.position), start=1):
            passes += step.item is None
            if step.item is not None:
                assert step.item.time is not None
                self.held[step.item.id] = max(self.held.get(step.item.id, 0), step.item.time)
            self.position = Position.from_json(json.loads(json.dumps(step.position.as_json())))
            self.check_cursor()
            if count == limit:
                return False
        if passes < MAX_PASSES:
            self.check_last_pass()
        return True

    def check_last_pass(self) -> None:
        """A walk that came to rest holds all that was listed when its last pass began, as it was."""
        assert all(self.held.get(name, 0) >= time for name, time in self.seen_at_top.items())

    def check_cursor(self) -> None:
        """No version at or below the low watermark, or between the boundary and the high watermark, is missing."""
        position = self.position
        for name, time in self.model.times.items():
            if self.held.get(name) == time:
                continue
            assert position.low_watermark is None or time >= position.low_watermark.time
            assert (
                position.low_watermark is None
                or name not in position.low_watermark.ids
                or time > position.low_watermark.time
            )
            assert (
                position.boundary is None
                or position.high_watermark is None
                or not position.boundary.time < time <= position.high_watermark.time - 1
            )


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(0, 90),
    equal=st.integers(1, 4),
    size=st.integers(7, 20),
    bursts=BURSTS,
    cuts=st.lists(st.integers(1, 15), max_size=20),
)
def test_nothing_is_lost_however_the_list_changes_and_the_walk_is_cut(
    count: int, equal: int, size: int, bursts: list[list[tuple[str, int, int]]], cuts: list[int]
) -> None:
    model = Model(size, {f"old-{n}": BEGINNING - n // equal for n in range(count)})
    world = ChangingList(model, bursts, cuts)
    try:
        while world.bursts:
            world.run()
        world.run()
    except ListEmptiedError:
        assert not model.times
        return

    assert {name: world.held.get(name) for name in model.times} == model.times


def test_a_second_walk_hands_out_only_what_changed() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - n for n in range(250)})
    first = list(walk(model.read, Position()))
    model.put("old-77")
    model.put("fresh")
    before = model.reads

    second = [step.item.id for step in walk(model.read, first[-1].position) if step.item]

    assert second == ["fresh", "old-77"]
    assert model.reads - before == 2


def test_a_list_that_is_not_sorted_is_handed_out_whole() -> None:
    times = {f"old-{n}": BEGINNING - (n * 37) % 60 for n in range(60)}
    items = [Item(name, time, {}) for name, time in times.items()]

    told = {step.item.id for step in walk(lambda at: Page(items[at : at + 10]), Position()) if step.item}

    assert told == times.keys()


def test_equal_times_at_the_floor_are_told_apart_by_id() -> None:
    model = Model(100, {"a": BEGINNING, "b": BEGINNING - 1})
    position = list(walk(model.read, Position()))[-1].position
    model.times["c"] = BEGINNING

    assert [step.item.id for step in walk(model.read, position) if step.item] == ["c"]


def test_new_items_at_the_time_of_the_floor_are_found_behind_a_full_page_of_known_ones() -> None:
    model = Model(10, {f"{n:03}": BEGINNING for n in range(20)})
    position = list(walk(model.read, Position()))[-1].position
    model.times["999"] = BEGINNING

    assert [step.item.id for step in walk(model.read, position) if step.item] == ["999"]


def test_more_equal_times_than_a_page_are_all_handed_out_although_the_walk_is_cut_at_each() -> None:
    model = Model(10, {f"{n:03}": BEGINNING for n in range(45)})
    handed: list[str] = []
    position = Position()
    for _ in range(45):
        step = next(walk(model.read, position))
        assert step.item is not None
        handed.append(step.item.id)
        position = step.position

    assert sorted(handed) == sorted(model.times)


def test_a_pinned_old_item_hides_nothing_below_it() -> None:
    items = [Item("pinned", BEGINNING - 500, {}), *(Item(f"n{n}", BEGINNING - n, {}) for n in range(150))]

    def read(offset: int) -> Page:
        return Page(items[offset : offset + 100])

    for cut in range(1, 151):
        steps = [step for step, _ in zip(walk(read, Position()), range(cut), strict=False)]
        rest = list(walk(read, steps[-1].position))
        assert {step.item.id for step in steps + rest if step.item} == {item.id for item in items}


def test_items_without_a_time_are_handed_out_and_move_nothing() -> None:
    items = [Item("a", BEGINNING, {}), Item("?", None, {}), Item("b", BEGINNING - 1, {})]

    steps = list(walk(lambda offset: Page(items[offset:]), Position()))

    assert [step.item.id for step in steps if step.item][:3] == ["a", "?", "b"]
    assert steps[-1].position.low_watermark == Boundary(BEGINNING, frozenset({"a"}))


def test_a_list_that_became_empty_is_not_believed() -> None:
    with pytest.raises(ListEmptiedError):
        list(walk(lambda _: Page([]), Position(low_watermark=Boundary(BEGINNING))))


def test_a_list_that_was_always_empty_is_walked_to_its_end() -> None:
    assert [step.item for step in walk(lambda _: Page([]), Position())] == [None]


def test_a_list_that_ignores_the_offset_is_refused() -> None:
    items = [Item(f"n{n}", BEGINNING - n, {}) for n in range(30)]

    with pytest.raises(ShapeError):
        list(walk(lambda _: Page(items), Position()))


def test_a_list_that_ends_in_nothing_beyond_a_full_page_is_refused() -> None:
    items = [Item(f"n{n}", BEGINNING - n, {}) for n in range(100)]

    with pytest.raises(ShapeError):
        list(walk(lambda offset: Page([] if offset else items), Position()))


def test_a_platform_that_counts_reading_as_an_update_does_not_keep_the_walk_going() -> None:
    model = Model(100, {f"old-{n}": BEGINNING - n for n in range(5)})
    handed = 0
    for step in walk(model.read, Position()):
        if step.item is not None:
            handed += 1
            model.put(step.item.id)

    assert handed == MAX_PASSES * 5
