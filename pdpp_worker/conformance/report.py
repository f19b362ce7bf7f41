"""Runs the checks in their order and writes down how each ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from pdpp_worker.conformance.adversary.seeds import SHORT
from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.checks.account import check_account
from pdpp_worker.conformance.checks.adversary import check_adversary
from pdpp_worker.conformance.checks.inventory import check_counts, check_inventory
from pdpp_worker.conformance.checks.leniency import check_leniency
from pdpp_worker.conformance.checks.manifest import check_manifest
from pdpp_worker.conformance.checks.misses import check_faults, check_requests
from pdpp_worker.conformance.checks.plain import check_change, check_determinism, check_expected_records, check_plain
from pdpp_worker.conformance.checks.planted import (
    check_contradiction,
    check_twins,
    check_unknown_field,
    check_unknown_member,
)
from pdpp_worker.conformance.checks.recovery import check_recovery, check_targeted
from pdpp_worker.conformance.checks.resume import check_kills
from pdpp_worker.conformance.checks.scope import check_narrowed, check_streams
from pdpp_worker.conformance.checks.secrets import check_secrets
from pdpp_worker.conformance.checks.stops import check_stops
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.subject import Subject, find
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.registry import Connector


class Ending(StrEnum):
    """The end of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Result:
    """The end of a check, and its sentence."""

    check: str
    ending: Ending
    found: str


Check = Callable[[Case], str]
"""Runs the check and returns its finding; raises Defect or NotChecked."""

Own = Callable[[Connector], Subject]
"""Finds the account of its owner's that a connector is checked with."""

ADVERSARY = "lying provider"

CHECKS: dict[str, Check] = {
    "account check": check_account,
    "protocol": check_plain,
    "leniency": check_leniency,
    "nothing missing": check_expected_records,
    "determinism": check_determinism,
    "streams alone": check_streams,
    "narrowed scope": check_narrowed,
    "kill and resume": check_kills,
    "misses named": check_faults,
    "failing requests": check_requests,
    "stops when told": check_stops,
    "recovery": check_recovery,
    "targeted fetch": check_targeted,
    "inventory": check_inventory,
    "unknown field": check_unknown_field,
    "unknown member": check_unknown_member,
    "contradicting total": check_contradiction,
    "repeated id": check_twins,
    "counts": check_counts,
    "next visit": check_change,
    ADVERSARY: check_adversary,
    "no secrets": check_secrets,
}
"""In the order in which they are run: what is wrong early explains what is wrong later."""

MANIFEST = "manifest"
NAMES = (MANIFEST, *CHECKS)


class Examination:
    """The checks of one connector, one by one; its practice account lasts as long as the stack."""

    def __init__(self, subject: Subject | None, stack: ExitStack, refusal: str = "", seeds: range = SHORT) -> None:
        """Without a subject, `refusal` is what is wrong with its manifest; `seeds` are those of the adversary."""
        self._seeds = seeds
        self._subject = subject
        self._stack = stack
        self._refusal = refusal
        self._case: Case | None = None

    def result(self, name: str) -> Result:
        """Run one check."""
        try:
            return Result(name, Ending.PASSED, self._run(name))
        except Defect as defect:
            return Result(name, Ending.FAILED, _sentence(str(defect)))
        except ConfigurationError as error:
            return Result(name, Ending.FAILED, str(error))
        except NotChecked as missing:
            return Result(name, Ending.NOT_CHECKED, str(missing))

    def _run(self, name: str) -> str:
        if self._subject is None:
            if name == MANIFEST:
                raise Defect(self._refusal)
            raise NotChecked("The manifest is refused.")
        if name == MANIFEST:
            return check_manifest(self._subject.connector.manifest)
        return CHECKS[name](self._open(self._subject))

    def _open(self, subject: Subject) -> Case:
        if self._case is None:
            directory = self._stack.enter_context(TemporaryDirectory(prefix="pdpp-check-"))
            account = self._stack.enter_context(subject.open_account())
            self._case = Case(subject.connector, account, Path(directory), subject.open_living, self._seeds)
        return self._case


def begin(
    name: str, stack: ExitStack, own: Own | None = None, seeds: range = SHORT, *, as_fleet_user: bool
) -> Examination:
    """The checks of an installed connector, or of the one in a directory; with its practice account, or with `own`.

    `as_fleet_user`: its author is trusted with all that this user may do, where its program is not run as another.

    Raises:
        NotFoundError: `name` is neither.
    """
    try:
        found = find(name, as_fleet_user=as_fleet_user)
        return Examination(found if own is None else own(found.connector), stack, seeds=seeds)
    except NotFoundError:
        raise
    except ConfigurationError as error:
        return Examination(None, stack, str(error))


def examine(
    name: str,
    own: Own | None = None,
    seeds: range = SHORT,
    checks: Sequence[str] = NAMES,
    *,
    as_fleet_user: bool = False,
) -> Iterator[Result]:
    """The checks of a connector, in order; raises as `begin` does."""
    with ExitStack() as stack:
        examination = begin(name, stack, own, seeds, as_fleet_user=as_fleet_user)
        for check in checks:
            yield examination.result(check)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
