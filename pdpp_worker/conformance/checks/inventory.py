"""Checks of what a connector says of its source as a whole, and of the counts in its records."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from pdpp_worker.conformance.attempt import Ask
from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.checks.planted import members_of
from pdpp_worker.conformance.ending import Attempt
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.conformance.names import plural, some
from pdpp_worker.conformance.planting import Counted
from pdpp_worker.connector import Inventory


def check_inventory(case: Case) -> str:
    """Whether a walk that finds nothing new names the same parts as the first one; others would be forgotten."""
    first, ledger = case.after_plain()
    if not (named := _parts(first)):
        raise NotChecked("The connector says nothing of what its source consists of (INVENTORY).")
    again = _parts(case.runner.run(ledger, Ask(run_id="2", later=timedelta(hours=1))))
    if lost := named - again:
        raise Defect(f"a second walk does not name the parts {some(lost)} of the source, which are then forgotten")
    return f"{plural(len(members_of(first)), 'member')} in {plural(len(named), 'part')}, named by every walk"


def check_counts(case: Case) -> str:
    """Whether counts in parents are those of the children that are held."""
    _, ledger = case.after_plain()
    if not case.account.counted:
        raise NotChecked("The practice account names no field that counts records.")
    checked = sum(_require_count(ledger, one) for one in case.account.counted)
    return f"{plural(checked, 'count')} of children, each as many as are held"


def _require_count(ledger: Ledger, one: Counted) -> int:
    """Refuse a count that differs from the children held; returns how many were compared."""
    held = ledger.held()
    children = Counter(str(record.get(one.by)) for record in held.get(one.child, {}).values())
    counts = {key: record.get(one.field) for key, record in held.get(one.parent, {}).items()}
    for key, count in counts.items():
        if count is not None and count != children[key]:
            raise Defect(
                f"{one.field} of {one.parent} {key} says {count}, and {children[key]} records of {one.child} are held"
            )
    return sum(count is not None for count in counts.values())


def _parts(attempt: Attempt) -> set[str]:
    return {one.part for one in attempt.messages if isinstance(one, Inventory)}
