"""The step after a slice, branch by branch: by its phase, the run's kind and mode, how it ended, and the facts."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple, get_args

import pytest

from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason
from pdpp_worker.runtime.next_step import (
    NO_PACER_S,
    Cancelled,
    Continue,
    Cut,
    EndRun,
    Facts,
    Failed,
    Finished,
    GapDecision,
    HowItEnded,
    NoPacer,
    OutOfBudget,
    next_step,
)
from pdpp_worker.runtime.remaining_budget import Phase

BROKEN = Failed(Reason.PARSE_FAILED, "broken", transient=False)
SLOW = Failed(Reason.UPSTREAM_ERROR, "slow", transient=True)
EXPIRED = Failed(Reason.CREDENTIALS_EXPIRED, "expired", transient=False)
HELD = Cut(5.0, "held")
PAUSE, NO_PACER = "the provider asked for a pause", "the pacing server cannot be reached"
WALK = {"failed_streams": {"items": "timed_out"}, "checkpoint_errors": {}}
BY_THEN = {"resolved": 1, "unresolved": [7, 8]}
AWAITS = GapDecision(awaits_owner=Reason.CREDENTIALS_EXPIRED)


def goes_on(phase: Phase, error: str | None = None, **fields: Any) -> Continue:
    """The run goes on; `error` is what its retries met."""
    return Continue(phase, carried={} if error is None else {"recovery_error": error}, **fields)


class Case(NamedTuple):
    """One row of the table."""

    name: str
    phase: Phase
    how: HowItEnded
    facts: dict[str, Any]
    step: Continue | EndRun
    kind: str = "forward"


WALKS = [
    Case("ends", "walk", Finished(), {}, EndRun(True)),
    Case(
        "ends and gaps are due",
        "walk",
        Finished(),
        {"gaps_due": True, "walk": WALK},
        Continue("drain", carried={"walk": WALK}),
    ),
    Case("is cut", "walk", HELD, {}, Continue("walk", 5.0, "held")),
    Case("is out of budget", "walk", OutOfBudget(), {}, EndRun(False, out_of_budget=True)),
    Case(
        "keeps no position and is out of budget",
        "walk",
        OutOfBudget(),
        {"keeps_position": False},
        EndRun(False, out_of_budget=True, needs_more_time=True),
    ),
    Case("may send no request", "walk", NoPacer(), {}, Continue("walk", NO_PACER_S, NO_PACER)),
    Case("is cancelled", "walk", Cancelled(), {}, EndRun(False, cancelled=True)),
    Case("fails", "walk", SLOW, BY_THEN, EndRun(False, error="slow", gaps=GapDecision(transient=True))),
    Case("finds the sign-in expired", "walk", EXPIRED, {}, EndRun(False, error="expired")),
]
RETRIES = [
    Case(
        "progress and gaps are due", "recover", Finished(), {"gaps_due": True, "progressed": True}, goes_on("recover")
    ),
    Case(
        "make room when they end",
        "recover",
        Finished(),
        {"progressed": True},
        goes_on("walk", gaps=GapDecision(failed=())),
    ),
    Case(
        "make room without progress",
        "recover",
        Finished(),
        {"gaps_due": True, "unresolved": [7]},
        goes_on("walk", gaps=GapDecision(failed=[7])),
    ),
    Case("are cut", "recover", Cut(), {}, goes_on("recover")),
    Case("make room when held", "recover", HELD, {}, goes_on("walk", pause_s=5.0, why="held")),
    Case("make room when they only fail", "recover", Cut(), {"failed_enough": True}, goes_on("walk")),
    Case("make room when their share is spent", "recover", OutOfBudget(), {}, goes_on("walk")),
    Case("may send no request", "recover", NoPacer(), {}, goes_on("recover", pause_s=NO_PACER_S, why=NO_PACER)),
    Case("are cancelled", "recover", Cancelled(), {}, EndRun(False, cancelled=True)),
    Case(
        "fail on one gap after others",
        "recover",
        BROKEN,
        BY_THEN,
        goes_on("recover", "broken", gaps=GapDecision(culprit=7)),
    ),
    Case(
        "fail on the first gap",
        "recover",
        BROKEN,
        {"unresolved": [7, 8]},
        goes_on("walk", "broken", gaps=GapDecision(failed=[7, 8])),
    ),
    Case(
        "fail behind the last gap",
        "recover",
        SLOW,
        {"resolved": 2},
        goes_on("walk", "slow", gaps=GapDecision(failed=(), transient=True)),
    ),
    Case(
        "find the sign-in expired",
        "recover",
        EXPIRED,
        BY_THEN,
        goes_on("walk", "expired", gaps=GapDecision(failed=[7, 8], awaits_owner=Reason.CREDENTIALS_EXPIRED)),
    ),
    Case(
        "make no room for the next walk, which is this run's",
        "recover",
        Cut(),
        {"walk_is_due": True},
        goes_on("recover"),
    ),
]
DRAINS = [
    Case("end", "drain", Finished(), {}, EndRun(True)),
    Case("progress and gaps are due", "drain", Finished(), {"gaps_due": True, "progressed": True}, goes_on("drain")),
    Case(
        "wait for no pause of the provider", "drain", Finished(), {"progressed": True, "blocked_s": 60.0}, EndRun(True)
    ),
    Case("are held", "drain", HELD, {}, goes_on("drain", pause_s=5.0, why="held")),
    Case("are out of budget", "drain", OutOfBudget(), {"keeps_position": False}, EndRun(True, out_of_budget=True)),
    Case("are cancelled after a walk that ended well", "drain", Cancelled(), {}, EndRun(True, cancelled=True)),
    Case(
        "fail on one gap after others",
        "drain",
        BROKEN,
        BY_THEN,
        goes_on("drain", "broken", gaps=GapDecision(culprit=7)),
    ),
    Case("fail on the first gap", "drain", BROKEN, {"unresolved": [7]}, EndRun(True, error="broken")),
    Case("find the sign-in expired", "drain", EXPIRED, BY_THEN, EndRun(True, error="expired", gaps=AWAITS)),
    Case(
        "make room for a walk that is due",
        "drain",
        BROKEN,
        {"walk_is_due": True, **BY_THEN},
        EndRun(True, out_of_budget=True, gaps=GapDecision(culprit=7)),
    ),
]
RECOVERIES = [
    Case(
        "progresses and gaps are due",
        "recover",
        Finished(),
        {"gaps_due": True, "progressed": True},
        goes_on("recover"),
        "recovery",
    ),
    Case("ends", "recover", Finished(), {"progressed": True}, EndRun(True), "recovery"),
    Case(
        "waits for the provider",
        "recover",
        Finished(),
        {"progressed": True, "blocked_s": 60.0},
        goes_on("recover", pause_s=60.0, why=PAUSE),
        "recovery",
    ),
    Case(
        "waits for nobody without progress",
        "recover",
        Finished(),
        {"gaps_due": True, "blocked_s": 60.0},
        EndRun(True),
        "recovery",
    ),
    Case("is held", "recover", HELD, {"failed_enough": True}, goes_on("recover", pause_s=5.0, why="held"), "recovery"),
    Case("is out of budget", "recover", OutOfBudget(), {}, EndRun(True, out_of_budget=True), "recovery"),
    Case("is cancelled", "recover", Cancelled(), {"walk_is_due": True}, EndRun(False, cancelled=True), "recovery"),
    Case(
        "fails on one gap after others",
        "recover",
        SLOW,
        BY_THEN,
        goes_on("recover", "slow", gaps=GapDecision(culprit=7, transient=True)),
        "recovery",
    ),
    Case(
        "fails on the first gap",
        "recover",
        SLOW,
        {"unresolved": [7]},
        EndRun(False, error="slow", gaps=GapDecision(transient=True)),
        "recovery",
    ),
    Case(
        "finds the sign-in expired",
        "recover",
        EXPIRED,
        BY_THEN,
        EndRun(False, error="expired", gaps=AWAITS),
        "recovery",
    ),
    Case(
        "makes room for a walk that is due",
        "recover",
        HELD,
        {"walk_is_due": True},
        EndRun(True, out_of_budget=True),
        "recovery",
    ),
]
TABLE = {"a walk": WALKS, "retries": RETRIES, "drains": DRAINS, "a recovery": RECOVERIES}
CASES = [pytest.param(case, id=f"{who} {case.name}") for who, cases in TABLE.items() for case in cases]


@pytest.mark.parametrize("case", CASES)
def test_one_step_follows(case: Case) -> None:
    assert next_step(case.phase, case.kind, "incremental", case.how, Facts(**case.facts)) == case.step


def test_a_full_walk_has_fetched_every_gap_itself() -> None:
    step = next_step("walk", "forward", "full_refresh", Finished(), Facts(gaps_due=True))

    assert step == EndRun(ended_well=True)


HOWS: list[HowItEnded] = [Finished(), Cut(), HELD, OutOfBudget(), Cancelled(), NoPacer(), BROKEN, SLOW, EXPIRED]
FACTS = [
    Facts(progressed, failed_enough, unresolved, resolved, gaps_due, blocked_s, walk_is_due)
    for progressed, failed_enough, unresolved, resolved, gaps_due, blocked_s, walk_is_due in product(
        (False, True), (False, True), ((), (7, 8)), (0, 1), (False, True), (None, 60.0), (False, True)
    )
]
RUNS: list[tuple[Phase, str]] = [(phase, "forward") for phase in get_args(Phase)] + [("recover", "recovery")]


@pytest.mark.parametrize(("phase", "kind"), RUNS)
def test_a_run_never_returns_to_an_earlier_phase(phase: Phase, kind: str) -> None:
    order = get_args(Phase)

    steps = [next_step(phase, kind, "incremental", how, facts) for how, facts in product(HOWS, FACTS)]

    phases = [one.phase for one in steps if isinstance(one, Continue)]
    assert all(order.index(one) >= order.index(phase) for one in phases)
    assert kind == "forward" or set(phases) == {"recover"}


@pytest.mark.parametrize(("phase", "kind"), RUNS)
def test_a_connector_that_ends_without_progress_is_not_asked_the_same_again(phase: Phase, kind: str) -> None:
    still = [facts for facts in FACTS if not facts.progressed]

    steps = [next_step(phase, kind, "incremental", Finished(), facts) for facts in still]

    assert all(one.phase != phase for one in steps if isinstance(one, Continue))


@pytest.mark.parametrize("reason", sorted(NEEDS_OWNER))
@pytest.mark.parametrize(("phase", "kind"), RUNS)
def test_no_gap_is_blamed_where_the_owner_has_to_act(phase: Phase, kind: str, reason: Reason) -> None:
    refused = Failed(reason, "refused", transient=False)

    steps = [next_step(phase, kind, "incremental", refused, facts) for facts in FACTS]

    assert all(one.gaps.culprit is None for one in steps)
