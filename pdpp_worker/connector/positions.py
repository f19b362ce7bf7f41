"""Places that a walk keeps in its cursor: each moves only past what was read, and stays small.

All of it is pure. Where a place cannot be kept exactly, it is kept so that something is read twice, and never so that
something is passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

TIES = 500
"""Keys of one instant that a mark remembers at most."""
RANGES = 1000
"""Ranges of numbers that are kept at most."""
TAIL_BYTES = 64
"""Bytes before an offset by which a file is known again."""


class HighWater(NamedTuple):
    """The latest time that was read, and the keys that were read of that very instant."""

    at: float
    keys: tuple[str, ...] = ()
    """Empty: it is not known which, so all of that instant count as new."""

    def is_new(self, at: float, key: str) -> bool:
        """Whether an item may be unread: later than the mark, or of its instant and not among those that were read."""
        return at > self.at or (at == self.at and key not in self.keys)


def raised(mark: HighWater | None, read: Iterable[tuple[float, str]], now: float) -> HighWater | None:
    """The mark after items (time, key) were read, with all that is older.

    A time that is later than `now` raises nothing: it is the word of a clock that is wrong, and what comes meanwhile
    would be passed over. Such an item is read again until its time has come.
    """
    for at, key in read:
        if at > now or (mark is not None and at < mark.at):
            continue
        keys = mark.keys if mark is not None and at == mark.at else ()
        is_whole = mark is None or at > mark.at or bool(keys)
        mark = HighWater(at, tuple(sorted({*keys, key})) if is_whole and len(keys) < TIES else ())
    return mark


class Window(NamedTuple):
    """A period with both ends, to ask for: providers differ in which end of an open one they begin at."""

    since: float
    until: float


def window_after(mark: HighWater | None, now: float, *, overlap: float, earliest: float = 0.0) -> Window:
    """The period from the mark to now, begun `overlap` earlier for what arrives late; `earliest` without a mark."""
    since = earliest if mark is None else max(earliest, min(mark.at, now) - overlap)
    return Window(min(since, now), now)


class PagePlace(NamedTuple):
    """The place in a list that is read by offset, and the last keys before it."""

    offset: int = 0
    tail: tuple[str, ...] = ()

    def joins(self, page: Sequence[str]) -> bool:
        """Whether the page at this place holds something of the page before, so that nothing lies between them."""
        return not self.tail or not set(self.tail).isdisjoint(page)


def next_page(place: PagePlace, page: Sequence[str], *, overlap: int) -> PagePlace:
    """The place after a page, `overlap` items before its end (at least one item on).

    Items that leave the list shift the rest towards its beginning: with fewer than `overlap` of them between two pages
    the next one still joins.
    """
    kept = min(overlap, len(page) - 1) if page else 0
    return PagePlace(place.offset + len(page) - kept, tuple(page[len(page) - kept :]) if kept else ())


def stepped_back(place: PagePlace, size: int) -> PagePlace | None:
    """The place one page of `size` items earlier, where a page does not join; None: there is nothing before it."""
    return PagePlace(max(0, place.offset - size)) if place.offset > 0 else None


Ranges = tuple[tuple[int, int], ...]
"""Ascending ranges of whole numbers with both ends in them, which do not touch."""


def with_numbers(ranges: Ranges, numbers: Iterable[int]) -> Ranges:
    """The ranges and these numbers. Beyond `RANGES` the shortest are forgotten: their numbers are asked for again."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, *((one, one) for one in set(numbers))]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    longest = sorted(merged, key=lambda one: one[0] - one[1])[:RANGES]
    return tuple(sorted(longest))


def unread(ranges: Ranges, numbers: Collection[int]) -> Iterator[int]:
    """The numbers that are in no range, ascending: what was read out of order, and what was kept back once."""
    places = iter(ranges)
    first, last = next(places, (0, -1))
    for number in sorted(numbers):
        while last < number and (following := next(places, None)) is not None:
            first, last = following
        if not first <= number <= last:
            yield number


class ByteOffset(NamedTuple):
    """How far a file was read, and a digest of the bytes before, by which a rewritten file is known."""

    at: int = 0
    digest: str = ""

    def holds(self, before: bytes) -> bool:
        """Whether the file still has the same bytes before the offset; `before` are the last `TAIL_BYTES` of them."""
        return self.digest == _digest(before, self.at)


def whole_lines(place: ByteOffset, before: bytes, read: bytes) -> tuple[list[bytes], ByteOffset]:
    """The lines of what was read from the offset on, without their ends, and the offset after the last whole one.

    A line without its end is half of one: it is left for the next time. `before` are the bytes before the offset, at
    least `TAIL_BYTES` of them where there are so many.
    """
    size = read.rfind(b"\n") + 1
    at = place.at + size
    lines = read[:size].split(b"\n")[:-1]
    return lines, ByteOffset(at, _digest((before + read[:size])[-TAIL_BYTES:], at))


def _digest(before: bytes, at: int) -> str:
    """The digest of the last bytes before an offset; none at the beginning."""
    return blake2b(before[-TAIL_BYTES:], digest_size=8).hexdigest() if at else ""
