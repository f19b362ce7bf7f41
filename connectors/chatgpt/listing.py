"""Walks a list that is sorted newest first, read by offset, and changes while it is read.

The list answers `offset`/`limit` pages. Between two reads anything can happen: an update moves an item to the top and
everything above its old place down by one, a new item moves everything down, a deletion moves everything below it up.
The walk may be cut between any two items and resumed much later, from a `Place` of a few dozen bytes.

The place
    `floor`  everything older than this was handled by earlier walks (and, at this very time, the ids it names);
    `top`    the newest time when the pass under way began: the floor once the pass is through;
    `mark`   how far down the pass has come: everything newer, down from `top`, has been handled, and so have the ids
             it names at this very time;
    `index`  where in the list the mark was last seen; only a hint.

Reading a page
    Times only ever grow, and they grow past `top`; so an item at or below the mark that is not at the place where it
    was expected is further up by deletions, further down by arrivals, or gone to the top. A page is therefore used
    only if its first item is one that the mark covers (or it is the very first page): everything below the mark that
    the list held at that instant then begins on this page, without a hole. If the first item is not covered, the list
    has moved up; the walk steps back until it finds one that is. Pages overlap, so that this is rare. Items that the
    mark covers are passed over, so pages that moved down cost requests, never a second reading.

The end of a pass
    A page that ends below the floor, or from which no further page follows (it holds the overlap only). The floor then
    rises to `top`. Whatever changed meanwhile is newer than that, and another pass from the top takes it; passes go
    on until one finds nothing, at most `MAX_PASSES` (a platform that counts reading as an update would never be done).
    So, after a walk that came to its end within the limit: every item that was listed when its last pass began has
    been handed out in the version it then had. And at every moment, resumed or not: no version at or below the floor,
    nor between mark and top, is lost; a version is above top, and then the next pass finds it.

Awkward lists
    Times are compared in whole milliseconds, since one list mixes forms of different precision. Equal times need no
    order of their own: the ids at a boundary are kept. An item without a time is handed out whenever it is met and
    moves nothing. A stray old item above newer ones (a pinned one) is handed out too, and the mark moves only as far
    as the newest item that is still to come on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.chatgpt.errors import ListEmptiedError, ShapeError

PAGE = 100
OVERLAP = 5
MAX_PASSES = 3
MAX_RETREATS = 3


@dataclass(frozen=True)
class Item:
    """One list item: its id, its time (ms since 1970; None when unknown) and what the list says of it."""

    id: str
    time: int | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class Page:
    """One answer of the list; `total` as the platform counts it, `unusable` items have no id to ask for."""

    items: Sequence[Item]
    total: int | None = None
    unusable: int = 0

    @property
    def size(self) -> int:
        """How many places of the list the page takes."""
        return len(self.items) + self.unusable


@dataclass(frozen=True)
class Mark:
    """A boundary of the list: a time (ms) and the ids that were handled at exactly that time."""

    time: int
    ids: frozenset[str] = frozenset()

    def is_below(self, item: Item) -> bool:
        """Whether the item is newer than the boundary, or one of its own."""
        return item.time is not None and (item.time > self.time or self._names(item))

    def is_above(self, item: Item) -> bool:
        """Whether the item is older than the boundary, or one of its own."""
        return item.time is not None and (item.time < self.time or self._names(item))

    def with_item(self, item: Item) -> Mark:
        """The same boundary with one more item handled, if the item lies on it."""
        return replace(self, ids=self.ids | {item.id}) if item.time == self.time else self

    def as_json(self) -> dict[str, Any]:
        """The boundary as a cursor keeps it."""
        return {"time": self.time, "ids": sorted(self.ids)}

    def _names(self, item: Item) -> bool:
        return item.time == self.time and item.id in self.ids


@dataclass(frozen=True)
class Place:
    """How far the walk has come; see the module's text."""

    floor: Mark | None = None
    top: Mark | None = None
    mark: Mark | None = None
    index: int = 0

    @classmethod
    def from_json(cls, saved: Any) -> Place:
        """The place that a cursor holds; the beginning when it holds none."""
        if not isinstance(saved, dict):
            return cls()
        marks = {name: _mark(saved.get(name)) for name in ("floor", "top", "mark")}
        return cls(**marks, index=saved.get("index", 0))

    def as_json(self) -> dict[str, Any]:
        """The place as a cursor keeps it."""
        marks = {"floor": self.floor, "top": self.top, "mark": self.mark}
        return {name: mark.as_json() for name, mark in marks.items() if mark} | {"index": self.index}

    @property
    def is_fresh(self) -> bool:
        """Whether the next pass begins at the top."""
        return self.top is None and self.index == 0

    def begun(self, page: Page) -> Place:
        """The place at the beginning of a pass whose first page this is."""
        newest = max((item.time for item in page.items if item.time is not None), default=None)
        if newest is None:
            return self
        at_floor = self.floor is not None and self.floor.time == newest
        return replace(self, top=self.floor if at_floor else Mark(newest))

    def is_old(self, item: Item) -> bool:
        """Whether the item was handled by an earlier walk."""
        return self.floor is not None and self.floor.is_above(item)

    def is_passed(self, item: Item) -> bool:
        """Whether the item was handled by this pass, if the list is sorted."""
        return self.mark is not None and self.mark.is_below(item)

    def after(self, item: Item, newest_to_come: int | None, index: int) -> Place:
        """The place once the item is behind; no item from it on is newer than `newest_to_come`."""
        # What came to the very time of the top after the pass had left it is the next pass's.
        passed = self.is_passed(item)
        top = self.top.with_item(item) if self.top and not passed else self.top
        mark = self.mark
        if newest_to_come is not None and (mark is None or newest_to_come < mark.time):
            mark = Mark(newest_to_come)
        return replace(self, top=top, mark=mark.with_item(item) if mark else None, index=index)

    def finished(self) -> Place:
        """The place when the pass is through."""
        rises = self.top is not None and (self.floor is None or self.top.time >= self.floor.time)
        return Place(floor=self.top if rises else self.floor)


@dataclass(frozen=True)
class Step:
    """An item to handle, or None when a pass is through; `place` is to be saved once that is done."""

    item: Item | None
    place: Place
    total: int | None = None


Read = Callable[[int], Page]
"""Reads the page at an offset."""


def walk(read: Read, place: Place) -> Iterator[Step]:
    """Hand out everything newer than the floor, newest first, until nothing new is found at the top.

    Raises:
        ListEmptiedError: the list is empty although the place says that it was not.
        ShapeError: the list ignores the offset, or never joins its pages.
    """
    for _ in range(MAX_PASSES):
        quiet = place.is_fresh
        for step in one_pass(read, place):
            place = step.place
            quiet = quiet and (step.item is None or step.item.time is None)
            yield step
        if quiet:
            return


def one_pass(read: Read, place: Place) -> Iterator[Step]:
    """From the place down to the floor, or to the end of the list; the last step has no item."""
    offset = max(0, place.index - OVERLAP)
    before: Page | None = None
    retreats = 0
    while True:
        page = read(offset)
        if offset == 0:
            place = _begin(place, page)
        elif not _joins(page, place):
            retreats += before is not None
            _check(retreats <= MAX_RETREATS, "the list's pages do not join")
            offset, before = max(0, offset - PAGE), None
            continue
        _check(before is None or _ids(before) != _ids(page), "the list gives the same page at every offset")
        for step in _page_steps(page, place, offset, _ids(before) if before else []):
            place = step.place
            if step.item is not None:
                retreats = 0
                yield step
        onward = offset + page.size - OVERLAP
        if onward <= offset or _ends_below(page, place.floor):
            yield Step(None, place.finished(), page.total)
            return
        offset, before = onward, page


def _begin(place: Place, page: Page) -> Place:
    if page.size == 0 and (place.floor or place.mark or place.index):
        raise ListEmptiedError("the list is empty, although it was not before")
    return place.begun(page) if place.is_fresh else place


def _joins(page: Page, place: Place) -> bool:
    if page.size == 0:
        return False
    first = next((item for item in page.items if item.time is not None), None)
    return first is None or place.mark is None or place.mark.is_below(first)


def _page_steps(page: Page, place: Place, offset: int, seen: list[str]) -> Iterator[Step]:
    """The place after each item of the page; the item is left out of those that need no handling."""
    met = set(seen)
    for index, (item, newest) in enumerate(zip(page.items, _newest_to_come(page), strict=True), start=offset + 1):
        # The mark speaks of a sorted list: what it covers on a page below the first was met on the page above.
        known = place.is_old(item) or (item.id in met if seen or item.time is None else place.is_passed(item))
        met.add(item.id)
        place = place.after(item, newest, index)
        yield Step(None if known else item, place, page.total)


def _newest_to_come(page: Page) -> list[int | None]:
    """For each item, the newest time among it and those after it on the page."""
    newest: int | None = None
    found: list[int | None] = []
    for item in reversed(page.items):
        newest = max((time for time in (newest, item.time) if time is not None), default=None)
        found.append(newest)
    return found[::-1]


def _ends_below(page: Page, floor: Mark | None) -> bool:
    last = next((item.time for item in reversed(page.items) if item.time is not None), None)
    return floor is not None and last is not None and last < floor.time


def _ids(page: Page) -> list[str]:
    return [item.id for item in page.items]


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ShapeError(message)


def _mark(saved: Any) -> Mark | None:
    return Mark(saved["time"], frozenset(saved["ids"])) if isinstance(saved, dict) else None
