"""Checks of a stop: nothing more is asked once the platform says stop, and every stream that cannot go on says so."""

from __future__ import annotations

from pdpp_worker.conformance.account import Fault
from pdpp_worker.conformance.attempt import Disruption
from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.checks.misses import MOST_FAILURES, check_reasons, require_said
from pdpp_worker.conformance.checks.plain import require_expected
from pdpp_worker.conformance.checks.resume import spread
from pdpp_worker.conformance.ending import Attempt
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Held, Ledger
from pdpp_worker.conformance.names import plural, some
from pdpp_worker.connector import AuthExpired, Challenged
from pdpp_worker.errors import ProviderError
from pdpp_worker.protocol.reasons import NEEDS_OWNER


def check_stops(case: Case) -> str:
    """Signed out at the provider, or at any request; a bot check at any request."""
    plain, whole = case.after_plain()
    can_sign_out = Fault.SIGNED_OUT in case.account.faults
    if not plain.requests and not can_sign_out:
        raise NotChecked(
            "The practice account cannot sign the account out, and no HTTP request is sent through the context."
        )
    found = []
    numbers = spread(range(1, plain.requests + 1), MOST_FAILURES)
    for turn, number in enumerate(numbers):
        _stop_at(case, whole.held(), number, is_challenge=turn % 2 == 1)
    if numbers:
        found.append(f"stops at {len(numbers)} of {plural(plain.requests, 'request')}")
    if can_sign_out:
        _sign_out(case, whole.held())
        found.append("signed out: says so, asks no more, and goes on once signed in")
    return "; ".join(found)


def _stop_at(case: Case, whole: Held, number: int, *, is_challenge: bool) -> None:
    failure: ProviderError = Challenged("a bot check") if is_challenge else AuthExpired("not accepted", status=401)
    ledger = case.runner.ledger()
    attempt = case.runner.run(ledger, disruption=Disruption(request=number, failure=failure, lasting=True))
    how = f"when request {number} is answered with {type(failure).__name__}"
    # A sign-in that ran out may be renewed by one request.
    if (more := attempt.requests - number) > (0 if is_challenge else 1):
        raise Defect(f"{how}, sends {plural(more, 'request')} more; it has to stop")
    _require_owner(case, attempt, whole, ledger, how)


def _sign_out(case: Case, whole: Held) -> None:
    ledger, mark = case.runner.ledger(), case.mark()
    case.account.inject(Fault.SIGNED_OUT, [])
    try:
        attempt = case.runner.run(ledger)
    finally:
        case.account.restore()
    asked = case.requests_since(mark)
    if len(asked) > 1:
        raise Defect(f"it asks the provider for more although it is signed out: {some(asked[1:])}")
    _require_owner(case, attempt, whole, ledger, "signed out")
    case.heal(ledger)
    require_expected(ledger, case.account.expected_records(), "after signing in again")


def _require_owner(case: Case, attempt: Attempt, whole: Held, ledger: Ledger, how: str) -> None:
    """The rest waits for the owner, and says so."""
    check_reasons(case, attempt)
    require_said(case, whole, ledger, how)
    held = ledger.held()
    is_short = any(records.keys() - held.get(stream, {}).keys() for stream, records in whole.items())
    reasons = {gap.miss.reason for gap in ledger.gaps.values()}
    if is_short and not reasons & NEEDS_OWNER:
        raise Defect(f"{how}, gives only the reasons {some(reasons)}; the owner is not told to act")
