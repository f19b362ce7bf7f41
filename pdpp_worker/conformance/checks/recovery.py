"""Known gaps are closed by proof, and a recovery run asks the provider for nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from pdpp_worker.conformance.account import Fault
from pdpp_worker.conformance.attempt import Ask
from pdpp_worker.conformance.case import Case, gaps_about
from pdpp_worker.conformance.checks.plain import require_expected
from pdpp_worker.conformance.ending import Attempt
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Gap, Ledger
from pdpp_worker.conformance.names import plural, some
from pdpp_worker.protocol.foreign import ForeignGap
from pdpp_worker.protocol.messages import Budget, DetailGap, DetailGapRecovered
from pdpp_worker.protocol.scope import ResourceScope, scope_key

BROKEN = 2
_RECOVERY = Ask(run_id="recovery", gaps=True, recovery_only=True)


def check_recovery(case: Case) -> str:
    """Tried in vain, tried with success, and about something that is gone: each gap ends as it should."""
    fault, broken = _need(case)
    with _during(case, fault, broken):
        ledger = _with_gaps(case)
        vain = ledger.copy()
        attempt = case.runner.run(vain, _RECOVERY)
        _require_resolved(attempt, vain, ledger.due())
        if closed := ledger.gaps.keys() - vain.gaps.keys():
            raise Defect(f"it closes a gap while its resource is still {fault.value}: {some(closed)}")
    found = ["still missing: said again"]
    if Fault.GONE in case.account.faults:
        _try_gone(case, ledger.copy(), broken)
        found.append("gone: closed as absent")
    if Fault.SIGNED_OUT in case.account.faults:
        _try_signed_out(case, ledger.copy())
        found.append("signed out: asks no more")
    _recover(case, ledger)
    found.append(f"there again: {plural(BROKEN, 'resource')} recovered with their records")
    return "; ".join(found)


def check_targeted(case: Case) -> str:
    """Whether a recovery run asks the provider for the gaps' resources only, within its budget; counted there."""
    fault, broken = _need(case)
    if case.account.requests() is None:
        raise NotChecked("The practice account does not count what is asked of the provider.")
    with _during(case, fault, broken):
        ledger = _with_gaps(case)
    ledger.keep(_by_resource(ledger))
    asked = _asked(case, ledger.copy(), Budget(), broken)
    if set(broken) - asked:
        raise Defect(f"it never asks the provider for {some(set(broken) - asked)}, which it recovered or should have")
    few = _asked(case, ledger.copy(), Budget(items=1), broken)
    if len(few) > 1:
        raise Defect(f"it asks for {len(few)} resources with a budget of 1 item: {some(few)}")
    return f"asked for {plural(len(asked), 'resource')} of {plural(_resources(case), 'resource')}, and for no list"


def _need(case: Case) -> tuple[Fault, list[str]]:
    if not case.manifest.recovery.supports_targeted_resource_fetch:
        raise NotChecked("The manifest does not offer targeted fetch: gaps are closed by walks.")
    case.after_plain()
    return case.need(Fault.FAILING, Fault.REFUSED), case.breakable(BROKEN)


@contextmanager
def _during(case: Case, fault: Fault, broken: list[str]) -> Iterator[None]:
    case.account.inject(fault, broken)
    try:
        yield
    finally:
        case.account.restore()


def _with_gaps(case: Case) -> Ledger:
    """After a forward run with the fault."""
    ledger = case.runner.ledger()
    case.runner.run(ledger)
    if not ledger.due():
        raise Defect("it reports no gap for resources that fail, so there is nothing to recover")
    return ledger


def _recover(case: Case, ledger: Ledger) -> None:
    cursors, assigned = dict(ledger.cursors), ledger.due()
    attempt = case.runner.run(ledger, _RECOVERY)
    if attempt.error is not None:
        raise Defect(f"a recovery run fails although nothing is wrong: {attempt.error}")
    _require_resolved(attempt, ledger, assigned)
    if left := ledger.due():
        raise Defect(f"it leaves a gap open whose resource is there again: {_place(left[0])}")
    if ledger.cursors != cursors:
        raise Defect("it moves a cursor in a recovery run")
    recovered = {gap.miss.stream for gap in assigned}
    require_expected(
        ledger, [one for one in case.account.expected_records() if one.stream in recovered], "after the recovery run"
    )
    case.runner.run(ledger, Ask(run_id="forward"))
    require_expected(ledger, case.account.expected_records(), "after the recovery run and the next walk")


def _try_signed_out(case: Case, ledger: Ledger) -> None:
    assigned, mark = set(ledger.gaps), case.mark()
    with _during(case, Fault.SIGNED_OUT, []):
        case.runner.run(ledger, _RECOVERY)
    asked = case.requests_since(mark)
    if len(asked) > 1:
        raise Defect(f"it asks for more in a recovery run although it is signed out: {some(asked[1:])}")
    if closed := assigned - ledger.gaps.keys():
        raise Defect(f"it closes a gap while it is signed out: {some(closed)}")


def _try_gone(case: Case, ledger: Ledger, broken: list[str]) -> None:
    with _during(case, Fault.GONE, broken):
        assigned = ledger.due()
        attempt = case.runner.run(ledger, _RECOVERY)
        _require_resolved(attempt, ledger, assigned)
    open_now = {gap.gap_id for gap in ledger.due()}
    if left := [gap for resource in broken for gap in gaps_about(assigned, resource) if gap.gap_id in open_now]:
        raise Defect(f"it leaves a gap open although the provider affirms that its resource is gone: {_place(left[0])}")
    if not ledger.absent:
        raise Defect("it closes the gap of a resource that is gone as recovered; say absent=True")


def _require_resolved(attempt: Attempt, ledger: Ledger, assigned: Collection[Gap]) -> None:
    """Every gap that START assigned was recovered or reported again."""
    named = {one.gap_id for one in attempt.messages if isinstance(one, DetailGap | ForeignGap | DetailGapRecovered)}
    open_now = {gap.gap_id for gap in ledger.gaps.values()}
    for gap in assigned:
        if gap.gap_id in open_now and str(gap.gap_id) not in named and attempt.ended:
            raise Defect(f"it is assigned a gap and says nothing of it: {_place(gap)}")


def _asked(case: Case, ledger: Ledger, budget: Budget, broken: Collection[str]) -> set[str]:
    """The resources that a recovery run asks the provider for."""
    mark = case.mark()
    case.runner.run(ledger, Ask(run_id="recovery", gaps=True, recovery_only=True, budget=budget))
    requests = (case.account.requests() or [])[mark:]
    for request in requests:
        if not request.resources:
            raise Defect(f"it lists instead of fetching in a recovery run: {request.text}")
        if other := request.resources - set(broken):
            raise Defect(f"it asks in a recovery run for what is no gap: {some(other)} ({request.text})")
    return {resource for request in requests for resource in request.resources}


def _by_resource(ledger: Ledger) -> list[Gap]:
    """The gaps about single resources, if there are any: what may answer one about a period is not known beforehand."""
    gaps = list(ledger.gaps.values())
    return [gap for gap in gaps if isinstance(gap.miss.scope, ResourceScope)] or gaps


def _resources(case: Case) -> int:
    return len({group.resource for group in case.account.expected_records()} - {None})


def _place(gap: Gap) -> str:
    return f"stream {gap.miss.stream!r}, {scope_key(gap.miss.scope)}"
