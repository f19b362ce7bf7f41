"""One undisturbed run: the messages keep the rules, and what the account holds is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pdpp_worker.conformance.account import RecordGroup
from pdpp_worker.conformance.attempt import Ask
from pdpp_worker.conformance.case import Case, keys_of, wanted
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Held, Ledger
from pdpp_worker.conformance.names import count, difference, plural, some, some_refusals


def check_plain(case: Case) -> str:
    """Whether every message passes the runtime's message handler."""
    attempt, ledger = case.plain
    if attempt.refusals:
        raise Defect(some_refusals(attempt.refusals))
    return f"{plural(len(attempt.messages), 'message')} accepted, {plural(count(ledger.held()), 'record')}"


def check_expected_records(case: Case) -> str:
    """Whether a run that reports nothing missing holds what the provider has."""
    _, ledger = case.after_plain()
    require_expected(ledger, case.account.expected_records(), "after a plain run")
    silent = [stream.name for stream in case.runner.supplied if not ledger.held().get(stream.name)]
    if silent:
        raise NotChecked(f"The practice account holds nothing of {some(silent)}; the other streams are complete.")
    return f"all {plural(count(ledger.held()), 'record')} that the provider has, and no other"


def require_expected(ledger: Ledger, expected_records: Sequence[RecordGroup], when: str) -> None:
    """Refuse a ledger that differs from the provider's expected_records.

    Raises:
        Defect: naming the stream and some keys.
    """
    held = keys_of(ledger.held())
    for stream, keys in wanted(expected_records).items():
        got = held.get(stream, set())
        if lost := keys - got:
            raise Defect(
                f"{when} the provider has {len(keys):,} records of stream {stream!r} and {len(keys & got):,} came; "
                f"missing without a word: {some(lost)}"
            )
        if extra := got - keys:
            raise Defect(f"{when} stream {stream!r} holds what the provider does not have: {some(extra)}")


def check_determinism(case: Case) -> str:
    """Whether a second run of the same account yields the same records."""
    attempt, ledger = case.after_plain()
    again = case.runner.ledger()
    case.runner.run(again, Ask(run_id="2", later=timedelta(hours=1)))
    if phrase := difference(ledger.held(), again.held()):
        raise Defect(f"two runs of one account do not agree: {phrase}")
    held: Held = ledger.held()
    return f"two runs gave the same {plural(count(held), 'record')} from {plural(len(attempt.messages), 'message')}"


def check_change(case: Case) -> str:
    """Whether the next visit brings what happened since, by the cursor of the visit before."""
    if not case.account.can_change:
        raise NotChecked("The practice account cannot change.")
    _, ledger = case.after_plain()
    before = keys_of(ledger.held())
    case.account.change()
    case.runner.run(ledger, Ask(run_id="2"))
    if ledger.deletions.doubts:  # what one walk did not find, another one has to miss as well
        case.runner.run(ledger, Ask(run_id="2, again"))
    require_expected(ledger, case.account.expected_records(), "on the next visit")
    fresh = case.runner.ledger()
    case.runner.run(fresh, Ask(run_id="3"))
    if phrase := difference(fresh.held(), ledger.held()):
        raise Defect(f"the next visit does not bring what a first one brings: {phrase}")
    new = sum(len(keys - before.get(stream, set())) for stream, keys in keys_of(ledger.held()).items())
    return f"{plural(new, 'new record')}, and every change"
