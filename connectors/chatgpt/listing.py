"""Walks a list that is sorted newest first, read by offset, and changes while it is read.

The list answers `offset`/`limit` pages. Between two reads anything can happen: an update moves an item to the top and
everything above its old row down by one, a new item moves everything down, a deletion moves everything below it up.
The walk may be cut between any two items and resumed much later, from a `Position` of a few dozen bytes.

The position
    `low_watermark`   everything older than this was handled by earlier walks (and the ids named at this time);
    `high_watermark`  the newest time when the pass under way began: the low watermark once the pass is through;
    `boundary`        how far down the pass has come: everything newer, down from the high watermark, has been handled,
                      and so have the ids it names at this very time;
    `index`           where in the list the boundary was last seen; only a hint.
    A cursor keeps them as `floor`, `top`, `mark` and `index`.

Reading a page
    Times only ever grow, and they grow past the high watermark; so an item at or below the boundary that is not at
    the row where it was expected is further up by deletions, further down by arrivals, or gone to the top. A page
    is therefore used only if its first item is one that the boundary covers (or it is the very first page):
    everything below the boundary that the list held at that instant then begins on this page, without a hole. If
    the first item is not covered, the list has moved up; the walk steps back until it finds one that is. Pages
    overlap, so that this is rare. Items that the boundary covers are passed over, so pages that moved down cost
    requests, never a second reading.

The end of a pass
    A page that ends below the low watermark, or from which no further page follows (it holds the overlap only). The
    low watermark then rises to the high one. A change meanwhile is newer than that, and another pass from the top
    takes it; passes go on until one finds nothing, at most `MAX_PASSES` (a platform that counts reading as an
    update would never be done). So, after a walk that came to its end within the limit: every item that was listed
    when its last pass began has been handed out in the version it then had. And at every moment, resumed or not: no
    version at or below the low watermark, nor between boundary and high watermark, is lost; a version is above the
    high watermark, and then the next pass finds it.

Awkward lists
    Times are compared in whole milliseconds, since one list mixes forms of different precision. Equal times need no
    order of their own: the ids at a boundary are kept. An item without a time is handed out whenever it is met and
    moves nothing. A stray old item above newer ones (a pinned one) is handed out too, and the boundary moves only
    as far as the newest item that is still to come on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.chatgpt.errors import ListEmptiedError
from pdpp_worker.connector import ShapeError

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
        """The number of the list's rows that the page takes."""
        return len(self.items) + self.unusable


@dataclass(frozen=True)
class Boundary:
    """A boundary of the list: a time (ms) and the ids that were handled at exactly that time."""

    time: int
    ids: frozenset[str] = frozenset()

    def is_below(self, item: Item) -> bool:
        """Whether the item is newer than the boundary, or one of its own."""
        return item.time is not None and (item.time > self.time or self._names(item))

    def is_above(self, item: Item) -> bool:
        """Whether the item is older than the boundary, or one of its own."""
        return item.time is not None and (item.time < self.time or self._names(item))

    def with_item(self, item: Item) -> Boundary:
        """The same boundary with one more item handled, if the item lies on it."""
        return replace(self, ids=self.ids | {item.id}) if item.time == self.time else self

    def as_json(self) -> dict[str, Any]:
        """The boundary as a cursor keeps it."""
        return {"time": self.time, "ids": sorted(self.ids)}

    def _names(self, item: Item) -> bool:
        return item.time == self.time and item.id in self.ids


@dataclass(frozen=True)
class Position:
    """The progress of the walk; see the module's text."""

    low_watermark: Boundary | None = None
    high_watermark: Boundary | None = None
    boundary: Boundary | None = None
    index: int = 0

    @classmethod
    def from_json(cls, saved: Any) -> Position:
        """The position that a cursor holds; the beginning when it holds none."""
        if not isinstance(saved, dict):
            return cls()
        low, high, boundary = (_boundary(saved.get(name)) for name in ("floor", "top", "mark"))
        return cls(low, high, boundary, saved.get("index", 0))

    def as_json(self) -> dict[str, Any]:
        """The position as a cursor keeps it."""
        boundaries = {"floor": self.low_watermark, "top": self.high_watermark, "mark": self.boundary}
        return {name: one.as_json() for name, one in boundaries.items() if one} | {"index": self.index}

    @property
    def is_fresh(self) -> bool:
        """Whether the next pass begins at the high_watermark."""
        return self.high_watermark is None and self.index == 0

    def begun(self, page: Page) -> Position:
        """The position at the beginning of a pass whose first page this is."""
        newest = max((item.time for item in page.items if item.time is not None), default=None)
        if newest is None:
            return self
        at_low_watermark = self.low_watermark is not None and self.low_watermark.time == newest
        return replace(self, high_watermark=self.low_watermark if at_low_watermark else Boundary(newest))

    def is_old(self, item: Item) -> bool:
        """Whether the item was handled by an earlier walk."""
        return self.low_watermark is not None and self.low_watermark.is_above(item)

    def is_passed(self, item: Item) -> bool:
        """Whether the item was handled by this pass, if the list is sorted."""
        return self.boundary is not None and self.boundary.is_below(item)

    def after(self, item: Item, newest_to_come: int | None, index: int) -> Position:
        """The position once the item is behind; no item from it on is newer than `newest_to_come`."""
        # What came to the very time of the high_watermark after the pass had left it is the next pass's.
        passed = self.is_passed(item)
        high_watermark = (
            self.high_watermark.with_item(item) if self.high_watermark and not passed else self.high_watermark
        )
        boundary = self.boundary
        if newest_to_come is not None and (boundary is None or newest_to_come < boundary.time):
            boundary = Boundary(newest_to_come)
        return replace(
            self, high_watermark=high_watermark, boundary=boundary.with_item(item) if boundary else None, index=index
        )

    def finished(self) -> Position:
        """The position when the pass is through."""
        rises = self.high_watermark is not None and (
            self.low_watermark is None or self.high_watermark.time >= self.low_watermark.time
        )
        return Position(low_watermark=self.high_watermark if rises else self.low_watermark)


@dataclass(frozen=True)
class Step:
    """An item to handle, or None when a pass is through; `position` is to be saved once that is done."""

    item: Item | None
    position: Position
    total: int | None = None


Read = Callable[[int], Page]
"""Reads the page at an offset."""


def walk(read: Read, position: Position) -> Iterator[Step]:
    """Hand out everything newer than the low_watermark, newest first, until nothing new is found at the high_watermark.

    Raises:
        ListEmptiedError: the list is empty although the position says that it was not.
        ShapeError: the list ignores the offset, or never joins its pages.
    """
    for _ in range(MAX_PASSES):
        quiet = position.is_fresh
        for step in one_pass(read, position):
            position = step.position
            quiet = quiet and (step.item is None or step.item.time is None)
            yield step
        if quiet:
            return


def one_pass(read: Read, position: Position) -> Iterator[Step]:
    """From the position down to the low_watermark, or to the end of the list; the last step has no item."""
    offset = max(0, position.index - OVERLAP)
    before: Page | None = None
    retreats = 0
    while True:
        page = read(offset)
        if offset == 0:
            position = _begin(position, page)
        elif not _joins(page, position):
            retreats += before is not None
            _check(retreats <= MAX_RETREATS, "the list's pages do not join")
            offset, before = max(0, offset - PAGE), None
            continue
        _check(before is None or _ids(before) != _ids(page), "the list gives the same page at every offset")
        for step in _page_steps(page, position, offset, _ids(before) if before else []):
            position = step.position
            if step.item is not None:
                retreats = 0
                yield step
        onward = offset + page.size - OVERLAP
        if onward <= offset or _ends_below(page, position.low_watermark):
            yield Step(None, position.finished(), page.total)
            return
        offset, before = onward, page


def _begin(position: Position, page: Page) -> Position:
    if page.size == 0 and (position.low_watermark or position.boundary or position.index):
        raise ListEmptiedError("the list is empty, although it was not before")
    return position.begun(page) if position.is_fresh else position


def _joins(page: Page, position: Position) -> bool:
    if page.size == 0:
        return False
    first = next((item for item in page.items if item.time is not None), None)
    return first is None or position.boundary is None or position.boundary.is_below(first)


def _page_steps(page: Page, position: Position, offset: int, seen: list[str]) -> Iterator[Step]:
    """The position after each item of the page; the item is left out of those that need no handling."""
    met = set(seen)
    for index, (item, newest) in enumerate(zip(page.items, _newest_to_come(page), strict=True), start=offset + 1):
        # The boundary speaks of a sorted list: what it covers on a page below the first was met on the page above.
        known = position.is_old(item) or (item.id in met if seen or item.time is None else position.is_passed(item))
        met.add(item.id)
        position = position.after(item, newest, index)
        yield Step(None if known else item, position, page.total)


def _newest_to_come(page: Page) -> list[int | None]:
    """For each item, the newest time among it and those after it on the page."""
    newest: int | None = None
    found: list[int | None] = []
    for item in reversed(page.items):
        newest = max((time for time in (newest, item.time) if time is not None), default=None)
        found.append(newest)
    return found[::-1]


def _ends_below(page: Page, low_watermark: Boundary | None) -> bool:
    last = next((item.time for item in reversed(page.items) if item.time is not None), None)
    return low_watermark is not None and last is not None and last < low_watermark.time


def _ids(page: Page) -> list[str]:
    return [item.id for item in page.items]


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ShapeError(message)


def _boundary(saved: Any) -> Boundary | None:
    return Boundary(saved["time"], frozenset(saved["ids"])) if isinstance(saved, dict) else None
