"""Checks of failures: each is named, classified and retried, and nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from pdpp_worker.conformance.account import Fault, RecordGroup
from pdpp_worker.conformance.attempt import Disruption
from pdpp_worker.conformance.case import Case, gaps_about, is_foreign, keys_of, naming, stored_key, wanted
from pdpp_worker.conformance.checks.plain import require_expected
from pdpp_worker.conformance.checks.resume import spread
from pdpp_worker.conformance.ending import Attempt
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Held, Ledger
from pdpp_worker.conformance.names import difference, name_of, plural, some
from pdpp_worker.connector import Throttled, UpstreamError
from pdpp_worker.errors import ProviderError
from pdpp_worker.protocol.foreign import ForeignGap
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import STREAM_FAILED, DetailGap, SkipResult
from pdpp_worker.protocol.reasons import RecoveryKind, known_reason
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope

MOST_FAILURES = 12
"""Requests that are made to fail in one check, spread over the run."""
BROKEN = 2

_FAILURES: tuple[Callable[[], ProviderError], ...] = (
    lambda: UpstreamError("answered 503", status=503),
    lambda: Throttled("was refused for the rate"),
    lambda: UpstreamError("no answer in time", reason="timed_out"),
)

_KINDS = {
    Fault.FAILING: RecoveryKind.RUNTIME,
    Fault.REFUSED: RecoveryKind.RUNTIME,
    Fault.GARBLED: RecoveryKind.UPGRADE,
}


def check_faults(case: Case) -> str:
    """Resources that fail one by one: each is named with the right reason, and the rest is collected."""
    case.after_plain()
    faults = [fault for fault in _KINDS if fault in case.account.faults]
    if not faults:
        raise NotChecked("The practice account cannot let a resource fail.")
    broken, idle = case.breakable(BROKEN), list[str]()
    for fault in faults:
        case.account.inject(fault, broken)
        try:
            ledger = case.runner.ledger()
            attempt = case.runner.run(ledger)
        finally:
            case.account.restore()
        check_reasons(case, attempt)
        check_scopes(case, attempt)
        if not _changed(case, ledger, broken):
            idle.append(fault.value)
            continue
        _require_accounted(case, ledger, broken, fault)
    if idle:
        raise NotChecked(f"The fault {', '.join(idle)} changed nothing for {some(broken)}: the switch does nothing.")
    ways = ", ".join(fault.value for fault in faults)
    return f"{plural(BROKEN, 'resource')} {ways}: named with the right reason, and the rest is there"


def check_requests(case: Case) -> str:
    """Requests that fail in every way: what is then missing is said, and later runs bring it back."""
    plain, whole = case.after_plain()
    if not plain.requests:
        raise NotChecked("The connector sends no HTTP request through the context.")
    numbers = spread(range(1, plain.requests + 1), MOST_FAILURES)
    for turn, number in enumerate(numbers):
        failure = _FAILURES[turn % len(_FAILURES)]()
        ledger = case.runner.ledger()
        attempt = case.runner.run(ledger, disruption=Disruption(request=number, failure=failure))
        how = f"when request {number} fails ({type(failure).__name__})"
        check_reasons(case, attempt)
        check_scopes(case, attempt)
        require_said(case, whole.held(), ledger, how)
        case.heal(ledger)
        if phrase := difference(whole.held(), ledger.held()):
            raise Defect(f"{how}, later runs do not bring everything back: {phrase}")
    return f"{len(numbers)} of {plural(plain.requests, 'request')} failed in turn, nothing lost"


def check_reasons(case: Case, attempt: Attempt) -> None:
    """Refuse reasons that are none of the taxonomy.

    A connector of another language may use words of its own, with a hint.

    Raises:
        Defect: naming the message and the reason.
    """
    for message in attempt.messages:
        if not isinstance(message, SkipResult | DetailGap | ForeignGap) or message.reason == STREAM_FAILED:
            continue
        if known_reason(message.reason) is None and not is_foreign(case.manifest):
            raise Defect(
                f"{name_of(message)} gives the reason {message.reason!r}, which is no member of Reason; "
                "say it in message or last_error"
            )


def check_scopes(case: Case, attempt: Attempt) -> None:
    """Refuse gaps that a connector with targeted fetch emits and can never be asked for by themselves.

    Raises:
        Defect: naming the message and the form of its scope.
    """
    recovery = case.manifest.recovery
    if not recovery.supports_targeted_resource_fetch:
        return
    for message in attempt.messages:
        if not isinstance(message, SkipResult | DetailGap) or message.scope in (None, WHOLE_STREAM):
            continue
        form: Literal["resource", "batch"] = "resource" if isinstance(message.scope, ResourceScope) else "batch"
        if form not in recovery.scopes:
            raise Defect(
                f"{name_of(message)} is about a {form}, and recovery.scopes of the manifest has no {form!r}: no "
                "recovery run is ever handed the gap"
            )


def require_said(case: Case, whole: Held, ledger: Ledger, how: str) -> None:
    """Refuse records that are missing while no gap speaks of their stream, or of one that it depends on.

    Raises:
        Defect: naming them.
    """
    held = ledger.held()
    for stream, records in whole.items():
        lost = _unanswered(case, ledger, stream, records.keys() - held.get(stream, {}).keys())
        if lost:
            raise Defect(
                f"{how}, {plural(len(lost), 'record')} of stream {stream!r} missing and no gap or skip says so: "
                f"{some(lost)}"
            )


def _unanswered(case: Case, ledger: Ledger, stream: str, lost: Collection[str]) -> list[str]:
    """Records that are lost and that no gap speaks of: one about a single resource answers for that one alone."""
    family = family_of(case.manifest, stream)
    gaps = [gap for gap in ledger.gaps.values() if gap.miss.stream in family]
    names_sources = case.manifest.recovery.names_sources
    if any(names_sources(gap.miss.stream) or not isinstance(gap.miss.scope, ResourceScope) for gap in gaps):
        return []  # about a part, or a document: how many records it holds is not known
    groups = [group for group in case.account.expected_records() if group.stream == stream and group.resource]
    resources = {stored_key(key): group.resource or "" for group in groups for key in group.keys}
    return [key for key in sorted(lost) if not (naming(gaps, key) or naming(gaps, resources.get(key, key)))]


def family_of(manifest: Manifest, name: str) -> set[str]:
    """A stream, those that keep its place and those whose place it keeps."""
    stream = manifest.stream(name)
    children = {one.name for one in manifest.streams if name in one.parents}
    return {name, *children, *(stream.parents if stream is not None else [])}


def _changed(case: Case, ledger: Ledger, broken: Collection[str]) -> bool:
    """Whether the fault was felt: of each resource something is missing, or a gap speaks of it."""
    held, groups, gaps = keys_of(ledger.held()), case.account.expected_records(), ledger.gaps.values()
    return all(
        _lost(held, [group for group in groups if group.resource == resource]) or naming(gaps, resource)
        for resource in broken
    )


def _require_accounted(case: Case, ledger: Ledger, broken: Collection[str], fault: Fault) -> None:
    held, groups = keys_of(ledger.held()), case.account.expected_records()
    for resource in broken:
        gaps = gaps_about(ledger.gaps.values(), resource)
        lost = _lost(held, [group for group in groups if group.resource == resource])
        if not lost:
            continue
        if not gaps:
            raise Defect(f"resource {resource!r} is {fault.value}; missing without a word: {some(lost)}")
        if wrong := [gap for gap in gaps if gap.miss.recovery_kind != _KINDS[fault]]:
            miss = wrong[0].miss
            raise Defect(
                f"resource {resource!r} is {fault.value}, and the miss in stream {miss.stream!r} has the reason "
                f"{miss.reason} ({miss.recovery_kind}); it is retried by {_KINDS[fault].value}"
            )
    rest = _lost(held, [group for group in groups if group.resource not in broken])
    if rest and (fault is not Fault.REFUSED or not ledger.gaps):
        raise Defect(f"{plural(len(broken), 'resource')} {fault.value}; because of it also missing: {some(rest)}")
    if _KINDS[fault] is RecoveryKind.RUNTIME:
        case.heal(ledger)
        require_expected(ledger, groups, f"after {len(broken)} resources were {fault.value} and retried,")


def _lost(held: Mapping[str, Collection[str]], groups: Sequence[RecordGroup]) -> list[str]:
    return [key for stream, keys in wanted(groups).items() for key in keys if key not in held.get(stream, ())]
