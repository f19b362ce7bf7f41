"""What a batch says of gaps, message by message, and what it comes to: the last word counts.

The outcome is the same however the messages are divided into batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from pdpp_worker.protocol.reasons import Reason, RecoveryKind
from pdpp_worker.protocol.scope import Scope, resource_hash, scope_hash


class Row(NamedTuple):
    """The place of a record in its batch."""

    stream: str
    position: int


Place = tuple[str, bytes]
"""A gap: its stream, and the digest of its canonical scope."""


@dataclass(frozen=True)
class Miss:
    """Something expected and not obtained."""

    stream: str
    scope: Scope
    reason: str
    recovery_kind: str
    parent_stream: str | None = None
    retry_after: datetime | None = None
    connector_version_required: str | None = None
    detail_locator: dict[str, Any] | None = None
    last_error: str | None = None
    waits_for_owner: bool = False


@dataclass(frozen=True)
class Closure:
    """A gap that START handed over is mended, or its item does not exist.

    It rests on any of these records of its batch; where all of them are older than what is held, this is said instead.
    """

    stream: str
    scope: Scope
    absent: bool
    rests_on: tuple[Row, ...] = ()
    instead: Miss | None = None


@dataclass(frozen=True)
class Read:
    """A resource was read: an open gap about it closes."""

    stream: str
    resource: str


class Proof(NamedTuple):
    """A whole record, or (absent) a deletion, that a walk met: an open gap about it closes.

    A tuple, since where anything is missing in a stream there is one for every record of it.
    """

    stream: str
    resource: str
    absent: bool
    row: Row


Close = Closure | Read | Proof
Effect = Miss | Close


class Word(NamedTuple):
    """What a batch says of one gap: what is left of its misses, and then what may close it, each kind once."""

    misses: list[Miss]
    closes: list[Close]


def standing(effects: Iterable[Effect], outdated: frozenset[Row]) -> Iterator[Effect]:
    """The effects of a batch of which these records are older than what is held: nothing rests on them."""
    for effect in effects:
        if isinstance(effect, Closure) and effect.instead and outdated.issuperset(effect.rests_on):
            yield effect.instead
        elif not (isinstance(effect, Proof) and effect.row in outdated):
            yield effect


def last_words(effects: Iterable[Effect]) -> dict[Place, Word]:
    """The words of a batch, by gap.

    What was said before a miss is void: a gap that a run closes and misses again is as if the run had only missed it.
    """
    words: dict[Place, Word] = {}
    for effect in effects:
        place = place_of(effect)
        before = words.get(place)
        if isinstance(effect, Miss):
            words[place] = Word(_followed(before.misses if before else [], effect), [])
        elif before is None:
            words[place] = Word([], [effect])
        elif not any(_is_same(effect, said) for said in before.closes):
            words[place] = Word(before.misses, [*before.closes, effect])
    return words


def _is_same(one: Close, other: Close) -> bool:
    """Whether two of them close the same gap in the same way."""
    return type(one) is type(other) and (isinstance(one, Read) or one.absent == getattr(other, "absent", None))


def may_close(close: Close, reason: str, *, met_by_run: bool) -> bool:
    """Whether an effect closes an open gap of this reason; `met_by_run`: the run of the effect met it last.

    The store decides the same in SQL; see store/gaps/close.py.
    """
    rejected = reason == Reason.RECORD_REJECTED
    match close:
        case Closure():
            return not (rejected and met_by_run)
        case Read():
            return not rejected
        case Proof():
            return not met_by_run


def place_of(effect: Effect) -> Place:
    """The gap that an effect is about."""
    if isinstance(effect, Read | Proof):
        return effect.stream, resource_hash(effect.resource)
    return effect.stream, scope_hash(effect.scope)


def _followed(earlier: list[Miss], miss: Miss) -> list[Miss]:
    """A miss that is said again. It keeps the way back to the item, and what it could not be read for before it."""
    if not earlier:
        return [miss]
    last = earlier[-1]
    if miss.detail_locator is None:
        miss = replace(miss, detail_locator=last.detail_locator)
    unreadable = [one for one in earlier if one.recovery_kind == RecoveryKind.UPGRADE]
    return [*unreadable, miss] if miss.recovery_kind != RecoveryKind.UPGRADE else [miss]
