"""One seed: disturbed runs, then honest ones, then the judgement."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from pdpp_worker.conformance.account import LivingAccount, LivingFactory
from pdpp_worker.conformance.adversary.liars import standing_before
from pdpp_worker.conformance.adversary.lies import Lie
from pdpp_worker.conformance.adversary.living_files import LivingFiles
from pdpp_worker.conformance.adversary.plan import Disturbed, drawn
from pdpp_worker.conformance.adversary.truth import faults_of, misfit, require_no_word
from pdpp_worker.conformance.adversary.voice import HONEST, MOST_REQUESTS, Voice
from pdpp_worker.conformance.attempt import Ask, Disruption, Runner
from pdpp_worker.conformance.errors import Defect
from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.conformance.names import difference
from pdpp_worker.conformance.seeding import generator
from pdpp_worker.conformance.wire import SliceCut
from pdpp_worker.registry import Connector

LATER = timedelta(days=2)
"""The time between the adversary and the honest runs: some things are looked at once a day."""
HONEST_ROUNDS = 6
"""Runs within which everything has to be right again."""


@dataclass
class Tally:
    """The lies, events and faults of a seed."""

    lies: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    runs: list[str] = field(default_factory=list)
    """A phrase for each disturbed run."""
    faults: list[str] = field(default_factory=list)


def fight(connector: Connector, open_living: LivingFactory, seed: int) -> Tally:
    """Let the adversary of a seed loose on a connector."""
    tally, rng = Tally(), generator(connector.manifest.name, seed)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="pdpp-duel-")))
        mine, other = (stack.enter_context(open_living(owner)) for owner in (0, 1))
        voice = Voice(rng, lambda rng: _happen(mine, rng, tally))
        runners = [
            Runner(connector, one, directory, stack.enter_context(standing_before(connector.manifest, one, voice)))
            for one in (mine, other)
        ]
        duel = _Duel(runners[0], runners[1], mine, voice, tally)
        try:
            duel.disturb(rng)
            duel.make_peace()
            tally.faults += duel.judge()
        except Defect as defect:
            tally.faults.append(str(defect))
        tally.lies += voice.told
    return tally


def _happen(account: LivingAccount, rng: Random, tally: Tally) -> None:
    name = rng.choice(sorted(account.events))
    account.events[name](rng)
    tally.events[name] += 1


class _Duel:
    def __init__(self, runner: Runner, other: Runner, account: LivingAccount, voice: Voice, tally: Tally) -> None:
        self._runner, self._other, self._account, self._voice, self._tally = runner, other, account, voice, tally
        self._ledger = runner.ledger()
        self._targeted = runner.manifest.recovery.supports_targeted_resource_fetch

    def disturb(self, rng: Random) -> None:
        """Run while the adversary lies."""
        for one in drawn(rng, tuple(Lie)):
            self._tally.runs.append(_phrase(one))
            self._voice.begin(one.manner)
            self._run(one)
            self._voice.require_progress()

    def _run(self, one: Disturbed) -> None:
        if one.is_foreign and self._knows_whose():
            self._visit_another(one)
            return
        told, events = self._voice.told.copy(), self._tally.events.total()
        attempt = self._runner.run(self._ledger, one.ask, self._disruption(one))
        if self._tally.events.total() == events and Lie.STALE not in self._voice.told - told:
            require_no_word(attempt, self._account)

    def _knows_whose(self) -> bool:
        """Whether it was read whose account it is. Files do not tell that where the connector does not ask."""
        return bool(self._ledger.held() and (self._ledger.account or not isinstance(self._account, LivingFiles)))

    def _visit_another(self, one: Disturbed) -> None:
        before = self._ledger.held()
        self._other.run(self._ledger, one.ask, self._disruption(one))
        if phrase := difference(before, self._ledger.held()):
            raise Defect(f"it takes another owner's account for this one: {phrase}")

    def _disruption(self, one: Disturbed) -> Disruption:
        """Where nothing ends the run, it ends when it has asked more than there is."""
        planned = one.disruption
        if planned.failure is None:
            planned = replace(planned, request=MOST_REQUESTS + 1, failure=SliceCut(), lasting=True)
        return replace(planned, between=self._voice.between)

    def make_peace(self) -> None:
        """Run without the adversary, as the sweeps and the schedule would."""
        self._account.settle((self._runner.now + LATER).date())
        self._voice.begin(HONEST)
        for number in range(HONEST_ROUNDS):
            later = LATER + timedelta(hours=number)
            if self._targeted and self._ledger.due(later):
                self._runner.run(self._ledger, Ask(f"retry {number}", gaps=True, recovery_only=True, later=later))
            full = not self._targeted and bool(self._ledger.due(later))
            self._runner.run(self._ledger, Ask(f"honest {number}", gaps=self._targeted, full=full, later=later))
            if number and not self._ledger.gaps and not self._ledger.deletions.doubts:
                return

    def judge(self) -> list[str]:
        """The faults that are left."""
        fresh: Ledger = self._runner.ledger()
        self._runner.run(fresh, Ask(run_id="fresh", later=LATER))
        if phrase := misfit(fresh, self._account.expected_records()):
            return [f"an honest run does not bring what the account says that it holds: {phrase}"]
        return faults_of(self._ledger, fresh, self._account)


def _phrase(one: Disturbed) -> str:
    """The run in words, to read a seed by."""
    manner, ask, kill = one.manner, one.ask, one.disruption
    lies = f"{'+'.join(manner.lies)} {manner.share:g}{' steady' if manner.steady else ''}" if manner.share else "honest"
    words = [
        f"run {ask.run_id!r}: {lies}",
        f"restless {manner.restless:g}" if manner.restless else "",
        "of another owner" if one.is_foreign else "",
        ("recovery" if ask.recovery_only else "with gaps") if ask.gaps else "",
        f"budget {ask.budget.items}" if ask.budget.items else "",
        f"clock {ask.later}" if ask.later else "",
        f"killed after message {kill.stop_after}" if kill.stop_after is not None else "",
        f"cut at request {kill.request}" if kill.request is not None else "",
    ]
    return ", ".join(filter(None, words))
