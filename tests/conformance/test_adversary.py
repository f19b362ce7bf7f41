"""The adversary finds a planted fault of each kind, finds none where there is none, and plays a seed again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from pdpp_worker.conformance.adversary.duel import Tally, fight
from pdpp_worker.connector import (
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    ProviderError,
    State,
    closed_as_absent,
)
from tests.conformance.diary import PAGE, STREAM, Diarist, DiarySubject, Obj

pytestmark = pytest.mark.process  # starts servers of its own


class MarksWithoutTies(Diarist):
    def walk(self, cursor: Obj) -> Iterator[Message]:
        mark = cursor.get("at", "")
        listed = self.listed()
        for key, at in listed.items():
            if at > mark:
                yield from self.entry(key, at)
        yield State(stream=STREAM, cursor={"at": max([mark, *listed.values()])})


class TakesAPageForTheEnd(MarksWithoutTies):
    def listed(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while page := {one["id"]: one["at"] for one in self.get("/entries", offset=len(found))["items"]}:
            found |= page
            if len(page) < PAGE:
                break
        return found


class DeletesByOneEmptyAnswer(Diarist):
    def walk(self, cursor: Obj) -> Iterator[Message]:
        listed = {one["id"]: one["at"] for one in self.get("/entries", offset=0)["items"]}
        if not listed:
            for key in cursor.get("known", ()):
                yield self.deletion(key, "stated")
        yield from super().walk(cursor)


class KeepsEverythingInItsState(Diarist):
    def end(self, cursor: Obj, listed: dict[str, str]) -> Iterator[Message]:
        for message in super().end(cursor, listed):
            if isinstance(message, State):
                texts = {key: self.get(f"/entries/{key}") for key in listed}
                yield State(stream=STREAM, cursor={**message.cursor, "texts": texts})
            else:
                yield message


class SaysNotWhoseAccountItIs(Diarist):
    def account(self) -> Iterator[Message]:
        return iter(())


class ClosesAGapBySilence(Diarist):
    def close(self, gap: GapToClose, key: str) -> Iterator[Message]:
        for message in super().close(gap, key):
            yield message if isinstance(message, DetailGapRecovered) else closed_as_absent(gap)
            return


class StopsAtABadItem(Diarist):
    is_stopped = False

    def entry(self, key: str, at: str) -> Iterator[Message]:
        if not self.is_stopped:
            for message in super().entry(key, at):
                self.is_stopped = isinstance(message, DetailGap)
                yield message


class PassesOverTheUnread(Diarist):
    def walk(self, cursor: Obj) -> Iterator[Message]:
        offset = cursor.get("offset", 0)
        while items := self.get("/entries", offset=offset)["items"]:
            for one in items:
                yield from self.entry(one["id"], one["at"])
            offset += PAGE
            yield State(stream=STREAM, cursor={"offset": offset})


class GoesInACircle(Diarist):
    def listed(self) -> dict[str, str]:
        while True:
            try:
                return super().listed()
            except ProviderError:
                continue


PLANTED = [
    (TakesAPageForTheEnd, r"of stream 'entries' never read"),
    (MarksWithoutTies, r"of stream 'entries' never read"),
    (DeletesByOneEmptyAnswer, r"deletes .* by its own word|deleted .* although the provider has it"),
    (KeepsEverythingInItsState, r"STATE of [\d,]+ bytes for records of"),
    (SaysNotWhoseAccountItIs, r"takes another owner's account for this one: .*entry-1-"),
    (ClosesAGapBySilence, r"never read|different in"),
    (StopsAtABadItem, r"of stream 'entries' never read"),
    (PassesOverTheUnread, r"of stream 'entries' never read"),
    (GoesInACircle, r"goes in a circle"),
]


def first_fault(diarist: type[Diarist], seeds: range) -> tuple[int, Tally]:
    """The first seed that finds something, and what it did."""
    subject = DiarySubject(diarist)
    for seed in seeds:
        tally = fight(subject.connector, subject.open_living, seed)
        if tally.faults:
            return seed, tally
    pytest.fail(f"nothing found in {seeds}")


@pytest.mark.parametrize(("diarist", "sentence"), PLANTED, ids=[one.__name__ for one, _ in PLANTED])
def test_a_fault_of_each_kind_is_found(diarist: type[Diarist], sentence: str) -> None:
    _, tally = first_fault(diarist, range(60))

    assert re.search(sentence, "; ".join(tally.faults)), tally.faults


def test_a_connector_without_a_fault_stands_against_it() -> None:
    subject = DiarySubject(Diarist)

    tallies = [fight(subject.connector, subject.open_living, seed) for seed in range(20)]

    assert [(seed, one.faults, one.runs) for seed, one in enumerate(tallies) if one.faults] == []
    assert all(sum((one.lies + one.events).values()) for one in tallies[:1])


def test_a_seed_is_played_again() -> None:
    seed, first = first_fault(PassesOverTheUnread, range(60))

    _, again = first_fault(PassesOverTheUnread, range(seed, seed + 1))

    assert (again.faults, again.runs, again.lies, again.events) == (first.faults, first.runs, first.lies, first.events)
