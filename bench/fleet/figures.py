"""Figures of a fleet by its provider's log. Instants are Unix seconds; a stretch is from one to another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

Stretch = tuple[float, float]


def unexplained(
    arrivals: Sequence[float], watched: Stretch, explained: Iterable[Stretch], longer_than_s: float
) -> list[Stretch]:
    """The stretches without an arrival that are longer than a bound after all that is explained is taken out."""
    known = sorted(explained)
    instants = [watched[0], *arrivals, watched[1]]
    left = (part for silence in pairwise(instants) for part in _without(silence, known))
    return [(begin, end) for begin, end in left if end - begin > longer_than_s]


def hand_overs(ready: Iterable[float], arrivals: Sequence[float], explained: Iterable[Stretch]) -> list[float]:
    """How long each slice was without its first request (s, in order of length), less what is explained.

    `ready` are the instants at which the slices could have begun.
    """
    known = sorted(explained)
    following = ((instant, bisect_left(arrivals, instant)) for instant in ready)
    waits = (_without((instant, arrivals[index]), known) for instant, index in following if index < len(arrivals))
    return sorted(map(seconds_of, waits))


def most_within(instants: Sequence[float], window_s: float) -> int:
    """The most of these instants, which are in order, that lie within any window of this length."""
    return max((bisect_left(instants, first + window_s) - index for index, first in enumerate(instants)), default=0)


def smallest_distance(instants: Sequence[float]) -> float | None:
    """Between two instants that follow each other."""
    return min((later - earlier for earlier, later in pairwise(instants)), default=None)


def silence_at(instant: float, arrivals: Sequence[float]) -> float | None:
    """How long nothing arrived around an instant; None if nothing arrived before it, or after it."""
    index = bisect_right(arrivals, instant)
    return arrivals[index] - arrivals[index - 1] if 0 < index < len(arrivals) else None


def covered_s(stretch: Stretch, known: Iterable[Stretch]) -> float:
    """How much of a stretch is covered by others, which may overlap."""
    return stretch[1] - stretch[0] - seconds_of(_without(stretch, sorted(known)))


def seconds_of(stretches: Iterable[Stretch]) -> float:
    """The time that these stretches last together."""
    return sum(end - begin for begin, end in stretches)


def _without(stretch: Stretch, known: Iterable[Stretch]) -> Iterator[Stretch]:
    begin, end = stretch
    for known_from, known_until in known:
        if known_until > begin and known_from < end:
            yield begin, max(begin, known_from)
            begin = known_until
    yield begin, max(begin, end)
