"""Walks a list that is read by offset and changes while it is read, without trusting its order, count or length.

News
    An item is handed out if its version is not among the known ones, wherever on the list it stands. So a pinned
    item, another order, equal times, and an old item that appears late are all found where they are met.

How far a walk goes
    A pass begins at the top. It ends at a page whose last row is known if the list's own count is what the last whole
    pass leads to expect. Once a day, and whenever the count is another one or the last pass was cut, it goes down to
    the end. A pass is *whole* if every page joined the one before (they overlap), and as many items were met as the
    list counts. Passes go on until one brings no news, at most `MAX_PASSES`: a platform that counts reading as an
    update would never be done.

Words that are not believed
    A short or empty page is no end while the list counts more: the walk goes on, and what is missing is said. A page
    that does not join is asked for again from further up. Pages that bring nothing end the pass, whatever they say.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connectors.chatgpt.errors import ListEmptiedError
from connectors.chatgpt.known import Item, Known
from connectors.chatgpt.old_cursor import was_handled

PAGE = 100
OVERLAP = 5
MAX_PASSES = 3
MAX_RETREATS = 3
MAX_BARREN = 3
"""Pages in a row without a row that is new to the pass, after which it ends."""
WHOLE_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class Page:
    """One answer of the list; a row without an id to ask for is None. `total` is the platform's count."""

    rows: Sequence[Item | None]
    total: int | None = None
    admits_missing: bool = False
    """Whether the platform says that its list misses some."""
    goes_on: bool = False
    """Whether it says that more follows."""

    @property
    def items(self) -> list[Item]:
        """The rows that can be asked for."""
        return [row for row in self.rows if row is not None]


@dataclass(frozen=True)
class Step:
    """An item to handle, or None when a pass is through; so many of `total` were met."""

    item: Item | None
    count: int
    total: int | None


@dataclass
class Seen:
    """The items that a pass met."""

    marks: dict[bytes, bytes] = field(default_factory=dict)
    unusable: set[int] = field(default_factory=set)
    """Rows without an id, by their offset."""
    fresh: set[bytes] = field(default_factory=set)
    """Items that were handed out."""
    total: int | None = None
    """The count that the last page gave."""
    first_total: int | None = None
    news: int = 0
    joined: bool = True
    admits_missing: bool = False
    goes_on: bool = False
    """Whether the last page says that more follows."""
    is_short_cut: bool = False
    """Whether it ended above the list's end, where all is known."""

    @property
    def count(self) -> int:
        """The rows that were met."""
        return len(self.marks) + len(self.unusable)

    @property
    def is_whole(self) -> bool:
        """Whether the pass met all that the list counts."""
        is_through = self.joined and not self.is_short_cut and not self.goes_on
        return is_through and self.count >= (self.total or 0)

    def met(self, item: Item) -> bool:
        """Note the item; whether the pass met it before in this version."""
        before, self.marks[item.key] = self.marks.get(item.key), item.mark
        return before == item.mark


Read = Callable[[int], Page]
"""Reads the page at an offset."""
Steps = Generator[Step, None, Seen]


class Walk:
    """The walk over one list, and its saved state."""

    def __init__(self, saved: dict[str, Any], now: Callable[[], datetime]) -> None:
        """`saved` is what `as_json` gave at the end of an earlier walk, or empty."""
        self.known = Known(saved.get("known"))
        self._before = saved.get("before")
        self._surplus: int | None = saved.get("surplus")
        self._whole_at: str | None = saved.get("whole_at")
        self._was_empty = saved.get("was_empty") is True
        self._is_open = saved.get("open") is True
        self._now = now
        self.last = Seen()
        """The items that the latest pass met."""

    def as_json(self) -> dict[str, Any]:
        """The state as a cursor keeps it."""
        saved = {
            "known": self.known.as_text() or None,
            "before": self._before,
            "surplus": self._surplus,
            "whole_at": self._whole_at,
            "was_empty": self._was_empty,
            "open": self._is_open,
        }
        return {name: value for name, value in saved.items() if value is not None and value is not False}

    @property
    def count(self) -> int:
        """The items of the list, as far as the walks so far tell."""
        return self.last.count if not self.last.is_short_cut else self.last.first_total or len(self.known)

    def distrust(self) -> None:
        """Let the next pass go down to the end, whatever the list's count says."""
        self._is_open = True

    def steps(self, read: Read) -> Iterator[Step]:
        """Hand out what is new until nothing is. The caller adds what it has handled to `known`.

        Raises:
            ListEmptiedError: the list is empty, and was not when it was last walked.
        """
        for number in range(MAX_PASSES):
            self.last = yield from self._pass(read, whole=self._is_open)
            self._check_emptied()
            yield Step(None, self.last.count, self.last.total)
            self._note()
            if not self.last.news and (number or self.last.is_whole or self.last.is_short_cut):
                return

    def _pass(self, read: Read, *, whole: bool) -> Steps:
        seen = Seen()
        for page in pages(read, seen):
            ends_known = False
            for item in page.items:
                ends_known = seen.met(item) or not self._is_news(item, seen)
                if not ends_known:
                    yield Step(item, seen.count, page.total)
            if ends_known and not whole and self._is_as_expected(seen):
                seen.is_short_cut = True
                break
        return seen

    def _is_news(self, item: Item, seen: Seen) -> bool:
        if not self.known.names(item) and was_handled(self._before, item):
            self.known.add(item)
        if self.known.holds(item):
            return False
        seen.news += 1
        self._is_open = True
        seen.fresh.add(item.key)
        return True

    def _check_emptied(self) -> None:
        """One empty answer is more often a broken source than an emptied account; the next walk is believed."""
        is_empty = not self.last.count and not self.last.total
        if is_empty and not self._was_empty and (len(self.known) or self._before):
            self._was_empty = True
            raise ListEmptiedError("the list is empty; that is believed when the next walk finds the same")
        self._was_empty = self._was_empty and is_empty

    def _is_as_expected(self, seen: Seen) -> bool:
        if self._whole_at is None or seen.admits_missing or seen.unusable:
            return False
        if self._now() - datetime.fromisoformat(self._whole_at) >= WHOLE_EVERY:
            return False
        count = len(self.known) + sum(key not in self.known for key in seen.fresh)
        return seen.first_total is None or seen.first_total - count == self._surplus

    def _note(self) -> None:
        """Keep what a whole pass says of the list; one with unclear rows is walked to its end by the next run too."""
        seen = self.last
        self._is_open = False
        if seen.is_short_cut:
            return
        if seen.is_whole:
            self.known.keep(seen.marks)
            self._before = None
        is_clear = seen.is_whole and not seen.unusable and not seen.admits_missing
        self._whole_at = self._now().isoformat() if is_clear else None
        self._surplus = seen.first_total - len(seen.marks) if is_clear and seen.first_total is not None else None


def pages(read: Read, seen: Seen) -> Iterator[Page]:
    """The pages of a list down to its end; the reader notes the items in `seen.marks`, and may stop at any page."""
    offset = retreats = barren = 0
    while True:
        page = read(offset)
        if offset and page.rows and not _joins(page, seen):
            if retreats < MAX_RETREATS:
                retreats += 1
                offset = max(0, offset - PAGE // 2)
                continue
            seen.joined = False
        met = seen.count
        _note_page(page, offset, seen)
        yield page
        barren = barren + 1 if seen.count == met else 0
        if _is_end(page, seen):
            return
        if barren > MAX_BARREN:
            seen.joined = False
            return
        offset += len(page.rows) - min(OVERLAP, len(page.rows) // 2)


def _joins(page: Page, seen: Seen) -> bool:
    """Whether one of the first rows was met before, so that no row can lie between the pages."""
    first = page.rows[:OVERLAP]
    return any(row is None or row.key in seen.marks for row in first)


def _note_page(page: Page, offset: int, seen: Seen) -> None:
    if offset == 0:
        seen.first_total = page.total
    seen.total, seen.goes_on = page.total, page.goes_on
    seen.admits_missing |= page.admits_missing
    seen.unusable.update(offset + number for number, row in enumerate(page.rows) if row is None)


def _is_end(page: Page, seen: Seen) -> bool:
    size = len(page.rows)
    if page.goes_on or (page.total is not None and seen.count < page.total):
        return size == 0
    return size <= OVERLAP or (page.total is not None and size < PAGE)
