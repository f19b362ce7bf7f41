"""The cursor's round trip: killed anywhere and resumed, a run gives the same records as one that nobody disturbed.

A resumed run follows from the cursors that were committed, and from the connection's own files. So one resume
for each set of them proves all kills that leave it: those that come later keep more records, never fewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pdpp_worker.conformance.attempt import Ask, Disruption
from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.conformance.names import difference, name_of, plural
from pdpp_worker.conformance.wire import SliceCut
from pdpp_worker.protocol.messages import Message, State
from pdpp_worker.store.values import exact_json

MOST_KILLS = 24
"""Kills between messages, and as many at requests, in one check; a longer run is killed at places spread over it."""


def check_kills(case: Case) -> str:
    """Killed between two messages, or at a request, then resumed in the same run and in a new one."""
    attempt, ledger = case.after_plain()
    proof = _Proof(case, ledger)
    places = list(_places(attempt.messages))
    for place in places:
        after = name_of(attempt.messages[place - 1]) if place else "START"
        proof.kill(Disruption(stop_after=place), f"killed after message {place} ({after})")
    requests = spread(range(1, attempt.requests + 1), MOST_KILLS)
    for number in requests:
        proof.kill(Disruption(request=number, failure=SliceCut(), lasting=True), f"killed at request {number}")
    if not proof.resumed:
        raise NotChecked("The plain run says nothing, so there is no place to kill it at.")
    total = len(attempt.messages) + 1
    kills = f"{len(places)} of {plural(total, 'place')} between messages, {len(requests)} of "
    return f"{kills}{plural(attempt.requests, 'request')}; {plural(proof.resumed, 'resume')}, all the same records"


class _Proof:
    """Resumes after kills, once for each state that they left."""

    def __init__(self, case: Case, whole: Ledger) -> None:
        self._case = case
        self._whole = whole.held()
        self._seen: set[str] = set()
        self.resumed = 0

    def kill(self, disruption: Disruption, how: str) -> None:
        """Kill a run and resume it.

        Raises:
            Defect: records are lost, or differ.
        """
        ledger = self._case.runner.ledger()
        try:
            self._case.runner.run(ledger, disruption=disruption)
        except Defect as defect:
            raise Defect(f"{how}: {defect}") from defect
        state = exact_json([ledger.cursors, sorted(ledger.gaps), ledger.files_held()])
        if state in self._seen:
            return
        self._seen.add(state)
        for ask in (Ask(run_id="1"), Ask(run_id="2", gaps=True)):
            self._resume(ledger.copy(), ask, how)

    def _resume(self, ledger: Ledger, ask: Ask, how: str) -> None:
        self._case.runner.run(ledger, ask)
        self.resumed += 1
        if phrase := difference(self._whole, ledger.held()):
            where = "the same run" if ask.run_id == "1" else "a new run"
            raise Defect(f"{how} and resumed in {where} from its last committed STATE: {phrase}")


def _places(messages: Sequence[Message]) -> Iterator[int]:
    """Numbers of messages after which to kill: every STATE while there is room, and others spread between."""
    states = [number for number, message in enumerate(messages, start=1) if isinstance(message, State)]
    chosen = set(spread(states, MOST_KILLS // 2))
    others = [number for number in range(len(messages) + 1) if number not in chosen]
    yield from sorted(chosen.union(spread(others, MOST_KILLS - len(chosen))))


def spread(places: Sequence[int], most: int) -> list[int]:
    """All places, or so many of them, the first and the last among them."""
    if len(places) <= most:
        return list(places)
    return sorted({places[number * (len(places) - 1) // (most - 1)] for number in range(most)})
