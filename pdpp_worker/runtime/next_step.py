"""Decides what follows a slice: the run goes on in some phase, or ends. Pure: it reads nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason
from pdpp_worker.runtime.remaining_budget import Phase

NO_PACER_S = 30.0
"""Pause of a run whose pacing server cannot be reached, s."""


@dataclass(frozen=True)
class Finished:
    """The connector came to its own end, and its last batch is committed."""


@dataclass(frozen=True)
class Cut:
    """The slice had to end before its connector; the run goes on after `pause_s`, because of `why`."""

    pause_s: float = 0.0
    why: str | None = None


@dataclass(frozen=True)
class OutOfBudget:
    """The budget of this phase is spent."""


@dataclass(frozen=True)
class Cancelled:
    """The owner has asked the run to stop."""


@dataclass(frozen=True)
class NoPacer:
    """The pacing server could not be reached, so no request may be sent."""


@dataclass(frozen=True)
class Failed:
    """The connector failed or broke the protocol; `transient`: what it failed on passes with time."""

    reason: Reason
    error: str
    transient: bool


HowItEnded = Finished | Cut | OutOfBudget | Cancelled | NoPacer | Failed


@dataclass(frozen=True)
class Facts:
    """Facts for the decision, besides phase, kind, mode and how the slice ended."""

    progressed: bool = False
    """Whether the slice has committed progress."""
    failed_enough: bool = False
    """Whether so many requests failed in a row that a retry of gaps should make room for the walk."""
    unresolved: Sequence[int] = ()
    """Gaps that the connector was assigned and has not resolved, in their order."""
    resolved: int = 0
    """Assigned gaps that the connector has resolved."""
    gaps_due: bool = False
    """Whether more gaps may be tried now."""
    blocked_s: float | None = None
    """How long the provider wants a pause before the next gaps, s; None: it wants none."""
    walk_is_due: bool = False
    """Whether a scheduled walk waits for this run."""
    keeps_position: bool = True
    """Whether checkpoints of a walk become durable while the connector works."""
    walk: Mapping[str, Any] = field(default_factory=dict)
    """How the walk ended, for the slice that ends the run."""


@dataclass(frozen=True)
class GapDecision:
    """The fate of the assigned gaps that are unresolved."""

    culprit: int | None = None
    """The gap on which the connector failed: a failed attempt for it alone, the others stay due."""
    failed: Sequence[int] = ()
    """Gaps on each of which a failed attempt is recorded."""
    awaits_owner: Reason | None = None
    """All of them wait for the owner, for this reason and without an attempt."""
    transient: bool = False
    """Whether the failure passes with time, and says nothing about the connector's version."""


@dataclass(frozen=True)
class Continue:
    """The run goes on with a slice of this phase, after `pause_s` and because of `why` if it pauses."""

    phase: Phase
    pause_s: float = 0.0
    why: str | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)
    """Values for later slices of the run."""
    gaps: GapDecision = GapDecision()


@dataclass(frozen=True)
class EndRun:
    """The run ends."""

    ended_well: bool
    """Whether the connector came to its own end, or that of its walk."""
    cancelled: bool = False
    out_of_budget: bool = False
    needs_more_time: bool = False
    """Whether the budget was too small for a walk that keeps no position to go on from."""
    error: str | None = None
    gaps: GapDecision = GapDecision()


def next_step(phase: Phase, kind: str, mode: str, how: HowItEnded, facts: Facts) -> Continue | EndRun:
    """Decide what follows a slice of a run of this kind (`forward` or `recovery`) and mode.

    A run that only retries gaps makes room for a walk that is due. A run that ends after its walk has ended well.
    """
    step = _after(phase, kind, mode, how, facts)
    if isinstance(step, EndRun):
        return replace(step, ended_well=step.ended_well or phase == "drain")
    if facts.walk_is_due and (kind == "recovery" or phase == "drain"):
        return EndRun(ended_well=True, out_of_budget=True, gaps=step.gaps)
    return step


def _after(phase: Phase, kind: str, mode: str, how: HowItEnded, facts: Facts) -> Continue | EndRun:
    walk_follows = phase == "recover" and kind == "forward"
    match how:
        case Finished():
            return _after_walk(mode, facts) if phase == "walk" else _after_retries(phase, kind, facts, walk_follows)
        case Cut():
            makes_room = walk_follows and (how.pause_s > 0 or facts.failed_enough)
            return Continue("walk" if makes_room else phase, how.pause_s, how.why)
        case OutOfBudget():
            return Continue("walk") if walk_follows else _out_of_budget(phase, facts)
        case NoPacer():
            return Continue(phase, NO_PACER_S, "the pacing server cannot be reached")
        case Cancelled():
            return EndRun(ended_well=False, cancelled=True)
        case Failed():
            return _after_failure(phase, how, facts, walk_follows)


def _after_walk(mode: str, facts: Facts) -> Continue | EndRun:
    if facts.gaps_due and mode != "full_refresh":
        return Continue("drain", carried={"walk": facts.walk})
    return EndRun(ended_well=True)


def _after_retries(phase: Phase, kind: str, facts: Facts, walk_follows: bool) -> Continue | EndRun:
    """Retry what is still due; then walk, or wait for the provider, or end."""
    if facts.gaps_due and facts.progressed:
        return Continue(phase)
    if walk_follows:
        return Continue("walk", gaps=GapDecision(failed=facts.unresolved))
    if kind == "recovery" and facts.progressed and facts.blocked_s is not None:
        return Continue(phase, facts.blocked_s, "the provider asked for a pause")
    return EndRun(ended_well=True)


def _out_of_budget(phase: Phase, facts: Facts) -> EndRun:
    walks = phase == "walk"
    return EndRun(ended_well=not walks, out_of_budget=True, needs_more_time=walks and not facts.keeps_position)


def _after_failure(phase: Phase, how: Failed, facts: Facts, walk_follows: bool) -> Continue | EndRun:
    """One gap on which the connector fails costs itself an attempt, and not those behind it."""
    owner = how.reason if phase != "walk" and how.reason in NEEDS_OWNER else None
    if phase != "walk" and owner is None and facts.resolved and facts.unresolved:
        culprit = GapDecision(culprit=facts.unresolved[0], transient=how.transient)
        return Continue(phase, carried={"recovery_error": how.error}, gaps=culprit)
    if walk_follows:
        gaps = GapDecision(failed=facts.unresolved, awaits_owner=owner, transient=how.transient)
        return Continue("walk", carried={"recovery_error": how.error}, gaps=gaps)
    gaps = GapDecision(awaits_owner=owner, transient=how.transient)
    return EndRun(ended_well=False, error=how.error, gaps=gaps)
