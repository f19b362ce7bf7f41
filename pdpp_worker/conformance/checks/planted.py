"""Checks that nothing at the source goes unnamed: what is planted in it is kept, named, or said to be missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pdpp_worker.conformance.case import Case, keys_of
from pdpp_worker.conformance.checks.misses import family_of
from pdpp_worker.conformance.ending import Attempt
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Gap, Ledger
from pdpp_worker.conformance.names import plural, some
from pdpp_worker.conformance.planting import Plant, Planted
from pdpp_worker.connector import Inventory, SourceMember
from pdpp_worker.protocol.patterns import stands_for
from pdpp_worker.store.values import exact_json


class _Run(NamedTuple):
    """A run from nothing of an account with something planted."""

    planted: Planted
    attempt: Attempt
    ledger: Ledger

    @property
    def contents(self) -> str:
        """All records as one text."""
        return exact_json(self.ledger.held())

    @property
    def unknown(self) -> list[SourceMember]:
        """The members that the connector calls unknown."""
        return [one for one in members_of(self.attempt) if one.disposition == "unknown"]


def check_unknown_field(case: Case) -> str:
    """Whether a field that no version knows is kept beside the item that has it."""
    run = _run(case, Plant.FIELD)
    _require_rest(case, run.ledger, Plant.FIELD)
    contents = run.contents
    if lost := [mark for mark in run.planted.marks if mark not in contents]:
        raise Defect(
            f"a field that the provider adds is dropped without a word: {some(lost)} stands in no record. "
            "Keep the rest of an item beside it, in a field `extra`"
        )
    return f"{plural(len(run.planted.marks), 'field')} that no version knows, each kept with its item"


def check_unknown_member(case: Case) -> str:
    """Whether a list, file or table that no version knows is named and counted, in one line for those of one kind."""
    run = _run(case, Plant.MEMBER)
    _require_rest(case, run.ledger, Plant.MEMBER)
    naming = [one for one in run.unknown if any(_names(one, mark) for mark in run.planted.marks)]
    contents, gaps = run.contents, list(map(_text_of, run.ledger.gaps.values()))
    silent = [
        mark
        for mark in run.planted.marks
        if mark not in contents
        and not any(mark in gap for gap in gaps)
        and not any(_names(one, mark) for one in naming)
    ]
    if silent:
        raise Defect(f"the source has what no version knows, and nothing names it: {some(silent)}")
    if naming and run.planted.count is not None:
        _require_one_line(naming, run.planted.count)
    return f"{some(run.planted.marks)}: named, and the rest is there"


def check_contradiction(case: Case) -> str:
    """Whether a provider that says to have more than it gives is believed: a gap, or an unknown part."""
    run = _run(case, Plant.TOTAL)
    if not _is_said_missing(case, run):
        raise Defect(
            f"the provider says that it has more of {some(run.planted.streams)} than it gives, and no gap and no "
            "unknown part says so"
        )
    return f"what the provider does not give of {some(run.planted.streams)} is said to be missing"


def check_twins(case: Case) -> str:
    """Whether two items of one id are both kept, or a gap says that one is not."""
    run = _run(case, Plant.TWIN)
    contents = run.contents
    lost = [mark for mark in run.planted.marks if mark not in contents]
    if lost and not _is_said_missing(case, run):
        raise Defect(f"two items of one id and different contents: {some(lost)} is lost without a word")
    return "two items of one id: both kept" if not lost else "two items of one id: the other one is said to be missing"


def members_of(attempt: Attempt) -> list[SourceMember]:
    """The members that an attempt named, the last word of each part."""
    parts = {one.part: one.members for one in attempt.messages if isinstance(one, Inventory)}
    return [member for members in parts.values() for member in members]


def _run(case: Case, plant: Plant) -> _Run:
    case.after_plain()
    if plant not in case.account.plants:
        raise NotChecked(f"The practice account cannot plant {plant.value}.")
    planted = case.account.plant(plant)
    ledger = case.runner.ledger()
    try:
        return _Run(planted, case.runner.run(ledger), ledger)
    finally:
        case.account.restore()


def _require_rest(case: Case, ledger: Ledger, plant: Plant) -> None:
    """Refuse a run in which something of the account is missing for what was planted in it."""
    _, plain = case.after_plain()
    held = keys_of(ledger.held())
    for stream, keys in keys_of(plain.held()).items():
        if lost := keys - held.get(stream, set()):
            raise Defect(f"{plant.value} costs more than itself: of stream {stream!r} also missing: {some(lost)}")


def _require_one_line(naming: Sequence[SourceMember], count: int) -> None:
    if len(naming) > 1:
        raise Defect(f"{count} members of one kind are {len(naming)} lines of the inventory; one with a pattern does")
    if naming[0].count != count:
        raise Defect(f"{naming[0].name} is counted as {naming[0].count}; the source has {count}")


def _is_said_missing(case: Case, run: _Run) -> bool:
    family = {one for stream in run.planted.streams for one in family_of(case.manifest, stream)}
    unknown = any(not one.streams or not family.isdisjoint(one.streams) for one in run.unknown)
    return unknown or any(gap.miss.stream in family for gap in run.ledger.gaps.values())


def _names(member: SourceMember, mark: str) -> bool:
    """Whether a member is the one of that name, by its own name or by a pattern, from wherever its path begins."""
    return mark in member.name or stands_for(f"*{member.name}", mark)


def _text_of(gap: Gap) -> str:
    facts: Iterable[object] = (gap.miss.scope.model_dump(), gap.miss.detail_locator, gap.miss.last_error)
    return exact_json(list(facts))
