"""Sentences for the owner: why a verdict is as it is, and what happens next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pdpp_worker.coverage.outlook import Gap, Outlook
from pdpp_worker.coverage.renewal import renewal
from pdpp_worker.coverage.source_parts import unknown_because, unknown_next
from pdpp_worker.coverage.stream import never_supplied
from pdpp_worker.coverage.verdict import Availability, Resolver, StreamFacts, Verdict, WalkEnd
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason, RecoveryKind, known_reason
from pdpp_worker.recovery.policy import supported_scopes
from pdpp_worker.store.views.coverage_views import ClosedWithoutItem, EndedWalk, GapGroup
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.member_views import MemberView

NOBODY_RETRIES = "Nobody retries it."
_ORDER = (Resolver.OWNER, Resolver.UPGRADE, Resolver.TIME)


@dataclass(frozen=True)
class Facts:
    """Facts about a stream that its sentences rest on."""

    outlook: Outlook
    stream: str
    judged: StreamFacts
    groups: Mapping[GapGroup, Resolver]
    """The unclosed gaps of the stream."""
    above: Mapping[GapGroup, Resolver]
    """Unclosed gaps of the streams that it depends on: an item missing there may have items of this stream."""
    below: Mapping[GapGroup, Resolver]
    """Unclosed gaps of details without which records of the stream are held in part only."""
    unknown: Sequence[MemberView]
    """Members of the source that the connector does not know, and that may hold something of the stream."""
    closed_without_item: ClosedWithoutItem
    ended: EndedWalk | None
    walking: int | None
    """The run that walks the connection now, or is queued to."""
    blame: str
    """The stream whose walk ended worst: the stream itself, or one that it depends on."""

    def resolved_by(self, who: Resolver) -> list[GapGroup]:
        """The unclosed gaps that `who` resolves, those of the stream itself first."""
        all_of_them = [*self.groups.items(), *self.above.items(), *self.below.items()]
        return [group for group, found in all_of_them if found is who]


class OwnerAction(NamedTuple):
    """An action of the owner, in a word or two and in a sentence."""

    short: str
    sentence: str


def because(judged: Verdict, facts: Facts) -> str:
    """Explain the verdict on a stream."""
    if judged is Verdict.COMPLETE:
        run = facts.ended.run_id if facts.ended else None
        closed = sum(facts.closed_without_item)
        besides = f", but for {closed:,} that you waived or that do not exist at the provider" if closed else ""
        return f"Run {run} walked it to its end, and all that was ever met is here{besides}."
    if judged is Verdict.KNOWN_ABSENT:
        return _absence(facts)
    reasons = (_availability, _missing, _unfound, _unknown, _walk)
    return " ".join(dict.fromkeys(said for tell in reasons for said in tell(facts)))


def what_next(judged: Verdict, facts: Facts) -> str:
    """Tell what happens next, and what the owner can do about it; the most urgent first."""
    if judged is Verdict.KNOWN_ABSENT:
        return NOBODY_RETRIES
    if facts.judged.availability is Availability.NOT_INSTALLED:
        return _install(facts.outlook)
    if facts.judged.availability is Availability.UNDECLARED:
        return "What is held stays; no run walks it."
    actions = _decision(facts)
    actions += [_action(facts, group, who) for who in _ORDER for group in facts.resolved_by(who)]
    actions += _look_again(facts)
    if judged in (Verdict.UNKNOWN, Verdict.UNKNOWN_PARTS, Verdict.COMPLETE):
        actions.append(_next_walk(facts))
    return " ".join(dict.fromkeys(actions))


def asked_of_owner(judged: Verdict, facts: Facts) -> list[OwnerAction]:
    """List the actions that the owner is asked for, each once; empty: nothing waits for them."""
    if judged is not Verdict.WAITING_FOR_OWNER:
        return []
    if facts.judged.availability is Availability.NOT_INSTALLED:
        return [_installing(facts.outlook)]
    decisions = (OwnerAction("decide on deletions", one) for one in _decision(facts))
    waiting = (owner_action(group, facts.outlook) for group in facts.resolved_by(Resolver.OWNER))
    return list(dict.fromkeys([*decisions, *waiting]))


def sentence(reason: str) -> str:
    """A reason in one sentence."""
    known = known_reason(reason)
    return known.sentence if known else f"The connector says: {reason}."


def owner_action(gap: Gap, outlook: Outlook) -> OwnerAction:
    """The action of the owner about gaps that wait for them."""
    name = outlook.view.name
    if outlook.manifest is None:
        return _installing(outlook)
    if gap.exhausted:
        return OwnerAction("recover", f"Given up after many tries; ask for it again with: pdpp-worker recover {name}")
    if gap.next_attempt_at is not None:
        return OwnerAction("resume", _resume(outlook))
    if gap.recovery_kind == RecoveryKind.UPGRADE:
        return OwnerAction(
            "run --full", f"The version that may read it is installed; walk again with: pdpp-worker run {name} --full"
        )
    if gap.reason == Reason.CREDENTIALS_EXPIRED:
        return OwnerAction("sign in", renewal(outlook))
    if gap.reason == Reason.ANOTHER_ACCOUNT:
        return OwnerAction("decide on the account", _another_account(outlook))
    if known_reason(gap.reason) in NEEDS_OWNER:
        return OwnerAction("sign in", f"Open the account yourself once, then: pdpp-worker recover {name}")
    return OwnerAction("recover", f"It has no time for its next try; give it one with: pdpp-worker recover {name}")


def who_acts(gap: Gap, outlook: Outlook) -> str:
    """Name who acts on a gap, or how it ended."""
    who = outlook.resolver(gap)
    if who is Resolver.OWNER:
        return f"you: {owner_action(gap, outlook).short}"
    if who is Resolver.UPGRADE:
        return f"version {version_of(gap)}"
    if isinstance(gap, GapView) and gap.closed_at is not None:
        return gap.status.replace("_", " ")
    return "the fleet" if who is Resolver.TIME else "nobody"


def closed_by_walk(scope: Mapping[str, Any], outlook: Outlook) -> str | None:
    """How a walk closes a gap that the connector cannot be asked for by itself; None: it can be."""
    if outlook.manifest is None:
        return None
    forms = supported_scopes(outlook.manifest)
    if "resource_id" in scope:
        return None if forms.resources else "A walk that meets it closes it."
    if scope == {"partition": {}}:
        return "A walk that comes to the end of the stream closes it."
    full = f"pdpp-worker run {outlook.view.name} --full"
    return None if forms.batches else f"It cannot be asked for by itself; a walk of the whole stream closes it: {full}"


def version_of(gap: Gap) -> str:
    """The version of the connector that gaps wait for."""
    return gap.connector_version_required or f"above {gap.connector_version_seen}"


def upgrade_action(gap: Gap, outlook: Outlook) -> str:
    """Which version is waited for, and what happens once it is there."""
    by_itself = outlook.manifest is not None and outlook.manifest.recovery.supports_version_bumped_retry
    again = f"then: pdpp-worker run {outlook.view.name} --full"
    then = "the fleet then retries it by itself." if by_itself else again
    reads_files = outlook.manifest is not None and "filesystem" in outlook.manifest.bindings
    waits = f"Waits for version {version_of(gap)} of the connector {outlook.view.connector}; {then}"
    return f"{waits} {_file_of_yours(outlook.view.name, again)}" if reads_files else waits


def _file_of_yours(name: str, again: str) -> str:
    without = f"pdpp-worker gaps waive {name} --gap N"
    return f"Where a file of yours was broken, correct it, {again}; to do without it: {without}"


def _installing(outlook: Outlook) -> OwnerAction:
    return OwnerAction(f"{'correct' if outlook.why_refused else 'install'} the connector", _install(outlook))


def _install(outlook: Outlook) -> str:
    if outlook.why_refused is not None:
        return f"Correct the connector {outlook.view.connector}; its streams are walked again then."
    return f"Install the connector {outlook.view.connector}; its streams are walked again then."


def _another_account(outlook: Outlook) -> str:
    name, view = outlook.view.name, outlook.view
    who = f"It has read {view.account}, and the source is now that of {view.other_account}. " if view.account else ""
    return (
        f"{who}Sign in to the old one again; or add a connection for the new one; or, if both are one account, take it "
        f"with: pdpp-worker connection accept-account {name}"
    )


def _resume(outlook: Outlook) -> str:
    return f"The connection is paused; go on with: pdpp-worker connection resume {outlook.view.name}"


def _absence(facts: Facts) -> str:
    declared = facts.outlook.manifest.stream(facts.stream) if facts.outlook.manifest else None
    if declared is not None and (reason := never_supplied(declared, facts.outlook.view.settings)) is not None:
        return reason
    waived, absent = facts.closed_without_item
    return f"All that was expected was waived by you ({waived:,}) or does not exist at the provider ({absent:,})."


def _availability(facts: Facts) -> Iterator[str]:
    if facts.judged.availability is Availability.NOT_INSTALLED:
        yield facts.outlook.why_without
    manifest = facts.outlook.manifest
    if facts.judged.availability is Availability.UNDECLARED and manifest is not None:
        yield f"Version {manifest.version} of the connector {manifest.name} does not know this stream."


def _missing(facts: Facts) -> Iterator[str]:
    for who in _ORDER:
        for group in facts.resolved_by(who):
            if group in facts.below:
                yield f"Some of its records are held in part only: their {group.stream} are missing."
            elif group.stream != facts.stream:
                yield f"Something is missing of the stream {group.stream}, which it depends on."
            yield f"Given up: {group.reason}." if group.exhausted else sentence(group.reason)


def _unfound(facts: Facts) -> Iterator[str]:
    if count := facts.judged.deletions_waiting:
        held = facts.judged.records
        yield f"Walks do not find {count:,} of the {held:,} records held; so many are deleted by your word alone."


def _unknown(facts: Facts) -> Iterator[str]:
    if facts.unknown:
        yield unknown_because(facts.unknown, facts.outlook.view.connector)


def _look_again(facts: Facts) -> Iterator[str]:
    if facts.unknown and facts.outlook.manifest is not None:
        yield unknown_next(facts.unknown, facts.outlook.manifest)


def _decision(facts: Facts) -> list[str]:
    if not facts.judged.deletions_waiting:
        return []
    command = f"pdpp-worker deletions {{}}{facts.outlook.view.name}".format
    look, confirm, keep = map(command, ("", "confirm ", "keep "))
    return [f"Look at them with: {look}; then decide with: {confirm}, or: {keep}"]


def _walk(facts: Facts) -> Iterator[str]:
    if facts.judged.walk is WalkEnd.FINISHED:
        return
    if facts.blame != facts.stream:
        yield f"The stream {facts.blame}, which it depends on, was not walked to its end."
    elif facts.ended is None:
        yield "It was never walked to its end."
    else:
        error = f": {facts.ended.error.rstrip('. ')}" if facts.ended.error else ""
        status = facts.ended.status.replace("_", " ")
        how = "its end was not reached" if not facts.ended.finished else "the position that it reached was not kept"
        yield f"The last walk (run {facts.ended.run_id}) {status}, and {how}{error}."


def _action(facts: Facts, group: GapGroup, who: Resolver) -> str:
    if who is Resolver.OWNER:
        return owner_action(group, facts.outlook).sentence
    if who is Resolver.UPGRADE:
        return upgrade_action(group, facts.outlook)
    return "It is being fetched now." if group.fetching else "The fleet retries it by itself."


def _next_walk(facts: Facts) -> str:
    if facts.walking is not None:
        return f"Run {facts.walking} walks it; see: pdpp-worker runs show {facts.walking}"
    if facts.outlook.view.paused:
        return _resume(facts.outlook)
    if facts.outlook.view.next_run_at is None:
        return f"It has no schedule; walk it with: pdpp-worker run {facts.outlook.view.name}"
    return "The next run on schedule walks it."


def overall(verdicts: Iterable[Verdict]) -> str:
    """The answer to "am I missing anything?" over many streams."""
    found = list(verdicts)
    if not found:
        return "Nothing is collected yet."
    counts = {one: found.count(one) for one in Verdict if one in found}
    whole = counts.get(Verdict.COMPLETE, 0) + counts.get(Verdict.KNOWN_ABSENT, 0)
    said = ", ".join(f"{one.replace('_', ' ')} {count}" for one, count in counts.items())
    if whole == len(found):
        return f"Nothing that can be had is known to be missing ({said})."
    return f"Not everything is here: of {len(found)} streams, {said}."
