"""JSON as a liar, or a broken program, would change it: one place of it is another value, gone, doubled or renamed."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

DEEP: Any = None
for _ in range(300):
    DEEP = [DEEP]

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    -(2**63),
    float("inf"),
    float("nan"),
    "",
    " ",
    "\0",
    "\ud800",
    "x" * 5000,
    "\x1b[31m",
    "2026-99-99T99:99:99Z",
    "-1",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"id": {"id": []}},
    DEEP,
)


def mutated(rng: Random, value: Any, edits: int = 1) -> Any:
    """A copy with so many edits."""
    changed = [copy.deepcopy(value)]
    for _ in range(edits):
        holder, place = rng.choice(list(_places(changed)))
        _edit(rng, holder, place)
    return changed[0] if changed else None


def _places(value: Any) -> Any:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, each in list(inner):
        yield value, place
        if each is not DEEP:
            yield from _places(each)


def _edit(rng: Random, holder: Any, place: Any) -> None:
    how = rng.randrange(6)
    if how == 0 and len(holder) > 1:
        del holder[place]
    elif how == 1 and isinstance(holder, dict):
        holder[rng.choice(("", "x", "\ud800", f"{place}s", f" {place}"))] = holder.pop(place)
    elif how == 2 and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[place]))
    elif how == 3:
        holder[place] = [holder[place]]
    else:
        holder[place] = copy.deepcopy(rng.choice(ODD)) if how < 5 else rng.choice(ODD)
