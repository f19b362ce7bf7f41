"""The plan of a seed: the runs that the adversary disturbs, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from pdpp_worker.conformance.adversary.lies import Lie
from pdpp_worker.conformance.adversary.voice import HONEST, Manner
from pdpp_worker.conformance.attempt import Ask, Disruption
from pdpp_worker.conformance.wire import SliceCut
from pdpp_worker.protocol.messages import Budget

MOST_RUNS = 4
SHARES = (0.03, 0.1, 0.3, 0.7, 1.0)


@dataclass(frozen=True)
class Disturbed:
    """One run that the adversary disturbs."""

    manner: Manner
    ask: Ask
    disruption: Disruption
    is_foreign: bool = False
    """Whether the source is signed in to another owner's account."""


def drawn(rng: Random, lies: tuple[Lie, ...]) -> Iterator[Disturbed]:
    """The runs of a seed, before the adversary falls silent; the first one is often honest, so that much is held."""
    if rng.random() < 0.75:
        yield Disturbed(HONEST, Ask(run_id="first"), Disruption())
    run_id = ""
    for number in range(rng.randint(1, MOST_RUNS)):
        one = _run(rng, lies, run_id or f"disturbed {number}")
        is_killed = one.disruption.stop_after is not None or one.disruption.request is not None
        run_id = one.ask.run_id if is_killed and rng.random() < 0.5 else ""
        yield one


def _run(rng: Random, lies: tuple[Lie, ...], run_id: str) -> Disturbed:
    gaps = rng.random() < 0.7
    ask = Ask(
        run_id=run_id,
        gaps=gaps,
        recovery_only=gaps and rng.random() < 0.2,
        budget=Budget(items=rng.randint(1, 3) if rng.random() < 0.3 else None),
        later=timedelta(minutes=rng.randint(-600, 600)) if rng.random() < 0.2 else timedelta(),
    )
    return Disturbed(_manner(rng, lies), ask, _disruption(rng), is_foreign=rng.random() < 0.1)


def _manner(rng: Random, lies: tuple[Lie, ...]) -> Manner:
    told = tuple(rng.sample(lies, rng.randint(1, min(3, len(lies)))))
    return Manner(
        lies=told,
        share=rng.choice(SHARES),
        steady=rng.random() < 0.5,
        restless=rng.choice((0.0, 0.0, 0.05, 0.3)),
    )


def _disruption(rng: Random) -> Disruption:
    kind = rng.random()
    if kind < 0.25:
        return Disruption(stop_after=rng.randint(0, 40))
    if kind < 0.45:
        return Disruption(request=rng.randint(1, 20), failure=SliceCut(), lasting=True)
    return Disruption()
