"""Lies about an answer of JSON: functions of the answer, knowing nothing of the platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from enum import StrEnum
from random import Random
from typing import Any


class Lie(StrEnum):
    """A way in which an answer is not what the provider has."""

    SHORT = "short"
    """A list lacks some of its items; what the answer says beside it stays."""
    EMPTY = "empty"
    """A list lacks all of its items."""
    SHUFFLED = "shuffled"
    REPEATED = "repeated"
    """An item stands twice in a list."""
    STALE = "stale"
    """An earlier answer to the same question, or to one about another page of the same."""
    MISPLACED = "misplaced"
    """An answer about another resource, where the right one names the resource that was asked for."""
    CONTRADICTORY = "contradictory"
    """A count or a flag beside the list is changed."""
    CUT = "cut"
    """The answer ends in the middle."""
    REFUSED = "refused"
    """No answer but a refusal."""


def spoiled(lie: Lie, answer: Any, rng: Random) -> Any:
    """The answer with the lie in it; None where it has no room for that lie, so nothing was told."""
    made = deepcopy(answer)
    if lie is Lie.CONTRADICTORY:
        return made if _contradict(made, rng) else None
    lists = [one for one in _lists(made) if len(one) >= (2 if lie is Lie.SHUFFLED else 1)]
    if lie not in _ON_LISTS or not lists:
        return None
    _ON_LISTS[lie](rng.choice(lists), rng)
    return None if made == answer else made


def _lists(value: Any, depth: int = 0) -> Iterator[list[Any] | dict[str, Any]]:
    """The lists of an answer, down to the second level; a table of tables is one too."""
    if isinstance(value, list):
        yield value
    elif isinstance(value, dict) and depth < 2:
        if depth and len(value) > 1 and all(isinstance(one, dict) for one in value.values()):
            yield value
        for one in value.values():
            yield from _lists(one, depth + 1)


def _drop_some(items: list[Any] | dict[str, Any], rng: Random) -> None:
    """Leave items out: the last ones, the first ones, or any."""
    number, places = rng.randint(1, len(items)), range(len(items))
    gone = rng.choice((places[:number], places[-number:], rng.sample(places, number)))
    if isinstance(items, dict):
        for name in [name for place, name in enumerate(items) if place in gone]:
            del items[name]
        return
    items[:] = [one for place, one in enumerate(items) if place not in gone]


def _empty(items: list[Any] | dict[str, Any], _: Random) -> None:
    items.clear()


def _shuffle(items: list[Any] | dict[str, Any], rng: Random) -> None:
    if isinstance(items, list):
        rng.shuffle(items)


def _repeat(items: list[Any] | dict[str, Any], rng: Random) -> None:
    if isinstance(items, list):
        items.insert(rng.randint(0, len(items)), rng.choice(items))


_ON_LISTS: dict[Lie, Callable[[list[Any] | dict[str, Any], Random], None]] = {
    Lie.SHORT: _drop_some,
    Lie.EMPTY: _empty,
    Lie.SHUFFLED: _shuffle,
    Lie.REPEATED: _repeat,
}


def _contradict(value: Any, rng: Random) -> bool:
    """Change a count or a flag of the first or second level; false where there is none."""
    tables = [value, *value.values()] if isinstance(value, dict) else []
    told = [
        (table, name) for table in tables if isinstance(table, dict) for name in table if _counts(name, table[name])
    ]
    if not told:
        return False
    table, name = rng.choice(told)
    before = table[name]
    table[name] = not before if isinstance(before, bool) else max(0, before + rng.choice((-1, 1, 3, 200)))
    return bool(table[name] != before)


def _counts(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return name.startswith(("has_", "is_last"))
    return isinstance(value, int) and any(word in name for word in ("total", "count", "pages"))
