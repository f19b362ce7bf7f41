"""One backlog drained by a running fleet, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.fleet import account, figures
from bench.fleet.figures import Stretch
from bench.fleet.processes import RealFleet
from bench.fleet.watch import Watch
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.decisions import Verdict

IDLE_S = 2.0
PATIENCE = 2.5
"""A drain is given up after so many times the seconds that its requests take at the quota, and a minute."""


@dataclass(frozen=True)
class Drained:
    """A drain in figures; instants in Unix seconds."""

    begun: float
    asked: int
    """Gaps that were due."""
    left: int
    """Of them, not asked for when the drain was given up."""
    admitted: int
    seconds: float
    """From the order to the last request; to the end where the drain was given up."""
    share: float
    """Of the requests that the quota allows in that time, less the time while the fleet was stopped."""
    refused: int
    most_refused_in_60_s: int
    smallest_distance_s: float | None
    idle: list[Stretch]
    hand_overs_s: list[float]
    """In order of length."""
    held_s: float
    """In which a hold, a Retry-After or the stopped fleet let nothing be sent."""
    stopped_s: float
    silence_at_restart_s: float | None
    silence_at_flush_s: float | None


def drain(
    fleet: RealFleet, provider: ProviderProcess, ids: Sequence[str], disturb: Sequence[Callable[[Watch], None]] = ()
) -> Drained:
    """Let these conversations be missing, ask the fleet to recover them, and disturb it once half of them are there."""
    account.miss(fleet.db, ids)
    watch = Watch(fleet, provider)
    watch.order()
    given_up_at = time.time() + PATIENCE * len(ids) / provider.options.quota.rate_per_s + 60
    todo = list(disturb)
    while (left := watch.look()) and time.time() < given_up_at:
        if todo and left <= len(ids) / 2:
            todo.pop(0)(watch)
    return _judged(watch, len(ids), left, time.time())


def _judged(watch: Watch, asked: int, left: int, now: float) -> Drained:
    entries = watch.entries()
    arrivals = [one.at for one in entries]
    refusals = [one.at for one in entries if one.status == 429]
    admitted = sum(one.decision == Verdict.ADMITTED for one in entries)
    ended = now if left else arrivals[-1]
    stopped_s = figures.seconds_of(watch.down)
    seconds = ended - watch.begun
    explained = watch.explained(entries)
    return Drained(
        begun=watch.begun,
        asked=asked,
        left=left,
        admitted=admitted,
        seconds=seconds,
        share=admitted / (seconds - stopped_s) / watch.provider.options.quota.rate_per_s,
        refused=len(refusals),
        most_refused_in_60_s=figures.most_within(refusals, 60.0),
        smallest_distance_s=figures.smallest_distance([one.monotonic_ns / 1e9 for one in entries]),
        idle=figures.unexplained(arrivals, (watch.begun, ended), explained, IDLE_S),
        hand_overs_s=figures.hand_overs(watch.slices_ready(), arrivals, explained),
        held_s=figures.covered_s((watch.begun, ended), explained),
        stopped_s=stopped_s,
        silence_at_restart_s=_silence(arrivals, [begun for begun, _ in watch.down]),
        silence_at_flush_s=_silence(arrivals, watch.flushed),
    )


def _silence(arrivals: Sequence[float], instants: Sequence[float]) -> float | None:
    return figures.silence_at(instants[0], arrivals) if instants else None
