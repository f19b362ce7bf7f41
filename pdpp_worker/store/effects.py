"""The effects of a batch on gaps, message by message. The last word on a gap counts.

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
    """The key of a record in its batch."""

    stream: str
    position: int


GapKey = tuple[str, bytes]
"""A gap: its stream, and the digest of its canonical scope."""


@dataclass(frozen=True)
class GapReport:
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
    record_key: float | None = None
    """The key of a detail as it was sent, where it is a number."""


@dataclass(frozen=True)
class GapClosure:
    """A gap that START assigned is recovered, or its item does not exist.

    It rests on any of these records of its batch. Where all of them are older than what is held, `instead` holds.
    """

    stream: str
    scope: Scope
    absent: bool
    rests_on: tuple[Row, ...] = ()
    instead: GapReport | None = None


@dataclass(frozen=True)
class KeyFetched:
    """A resource was read (`hydrated_keys` of DETAIL_COVERAGE): an open gap about it closes."""

    stream: str
    resource: str


class KeyProven(NamedTuple):
    """A whole record, or (absent) a deletion, came: an open gap about its key closes.

    A tuple, since where anything is missing in a stream there is one for every record of it.
    """

    stream: str
    resource: str
    absent: bool
    row: Row


Closing = GapClosure | KeyFetched | KeyProven
Effect = GapReport | Closing


class LastWord(NamedTuple):
    """The reports of one gap that count in a batch, and the closings that followed them, each kind once."""

    reports: list[GapReport]
    closes: list[Closing]


def without_outdated(effects: Iterable[Effect], outdated: frozenset[Row]) -> Iterator[Effect]:
    """The effects of a batch, without those that rest on records which are older than what is held."""
    for effect in effects:
        if isinstance(effect, GapClosure) and effect.instead and outdated.issuperset(effect.rests_on):
            yield effect.instead
        elif not (isinstance(effect, KeyProven) and effect.row in outdated):
            yield effect


def last_words(effects: Iterable[Effect]) -> dict[GapKey, LastWord]:
    """The last words of a batch, by gap.

    A report voids the closings before it: a gap that a run closes and reports again is as if it had only reported it.
    """
    words: dict[GapKey, LastWord] = {}
    for effect in effects:
        key = key_of(effect)
        before = words.get(key)
        if isinstance(effect, GapReport):
            words[key] = LastWord(_followed(before.reports if before else [], effect), [])
        elif before is None:
            words[key] = LastWord([], [effect])
        elif not any(_is_same(effect, said) for said in before.closes):
            words[key] = LastWord(before.reports, [*before.closes, effect])
    return words


def _is_same(one: Closing, other: Closing) -> bool:
    """Whether two of them close the same gap in the same way."""
    return type(one) is type(other) and (isinstance(one, KeyFetched) or one.absent == getattr(other, "absent", None))


def may_close(close: Closing, reason: str, *, met_by_run: bool) -> bool:
    """Whether an effect closes an open gap of this reason; `met_by_run`: the run of the effect met it last.

    The store decides the same in SQL; see store/gaps/close.py.
    """
    rejected = reason == Reason.RECORD_REJECTED
    match close:
        case GapClosure():
            return not (rejected and met_by_run)
        case KeyFetched():
            return not rejected
        case KeyProven():
            return not met_by_run


def key_of(effect: Effect) -> GapKey:
    """The gap that an effect is about."""
    if isinstance(effect, KeyFetched | KeyProven):
        return effect.stream, resource_hash(effect.resource)
    return effect.stream, scope_hash(effect.scope)


def _followed(earlier: list[GapReport], report: GapReport) -> list[GapReport]:
    """The reports of a gap that is reported again: the last one with the locator, after those of an unreadable item."""
    if not earlier:
        return [report]
    last = earlier[-1]
    if report.detail_locator is None:
        report = replace(report, detail_locator=last.detail_locator)
    unreadable = [one for one in earlier if one.recovery_kind == RecoveryKind.UPGRADE]
    return [*unreadable, report] if report.recovery_kind != RecoveryKind.UPGRADE else [report]
