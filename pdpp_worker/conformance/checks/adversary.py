"""The connector against the adversary: seed by seed, until one finds a fault."""

from __future__ import annotations

from collections import Counter

from pdpp_worker.conformance.adversary.duel import Tally, fight
from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.names import plural


def check_adversary(case: Case) -> str:
    """Lies, changes, kills and budgets of every seed; afterwards what is held is what the provider has."""
    case.after_plain()
    lies: Counter[str] = Counter()
    events: Counter[str] = Counter()
    for seed in case.seeds:
        tally = fight(case.connector, case.open_living, seed)
        if tally.faults:
            raise Defect(_sentence(seed, tally))
        lies += tally.lies
        events += tally.events
    if not lies and not events:
        raise NotChecked(f"Nothing was changed by {_of(case.seeds)}: no lie was told, and nothing happened.")
    told = ", ".join(sorted(lies))
    return f"{_of(case.seeds)}: {plural(lies.total(), 'lie')} ({told}), {plural(events.total(), 'event')}; all is true"


def _sentence(seed: int, tally: Tally) -> str:
    """The faults of a seed, with its runs: it can be played again by its number."""
    runs = "".join(f"\n  {run}" for run in tally.runs)
    told = ", ".join(f"{number} {name}" for name, number in sorted((tally.lies + tally.events).items())) or "nothing"
    return f"seed {seed}: {'; '.join(tally.faults)}. It did: {told}. Play it again with --seed {seed}. Its runs:{runs}"


def _of(seeds: range) -> str:
    return plural(len(seeds), "seed") + (f" ({seeds[0]} to {seeds[-1]})" if len(seeds) > 1 else f" ({seeds[0]})")
