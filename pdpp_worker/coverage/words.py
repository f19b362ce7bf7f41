"""The read model in sentences that an owner can read: why a verdict is as it is, and what happens next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pdpp_worker.coverage.outlook import Gap, Outlook
from pdpp_worker.coverage.stream import never_supplied
from pdpp_worker.coverage.verdict import Mender, StreamFacts, Supply, Verdict, Walk
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason, RecoveryKind, known_reason
from pdpp_worker.store.views.stream_views import EndedWalk, GapGroup, LetGo

NOBODY_GOES_BACK = "Nobody goes back for it."
_ORDER = (Mender.OWNER, Mender.UPGRADE, Mender.TIME)


@dataclass(frozen=True)
class Facts:
    """Everything that is said about a stream rests on this."""

    outlook: Outlook
    stream: str
    judged: StreamFacts
    groups: Mapping[GapGroup, Mender]
    """The unclosed gaps of the stream."""
    above: Mapping[GapGroup, Mender]
    """Those of the streams that it depends on: what was not read there may have some of this one with it."""
    let_go: LetGo
    ended: EndedWalk | None
    walking: int | None
    """The run that walks the connection now, or is queued to."""
    blame: str
    """Whose walk ended worst: the stream itself, or one that it depends on."""

    def mended_by(self, who: Mender) -> list[GapGroup]:
        """The unclosed gaps that this one mends, those of the stream itself first."""
        return [group for group, found in [*self.groups.items(), *self.above.items()] if found is who]


class OwnerAction(NamedTuple):
    """What the owner does about a gap, in a word or two and in a sentence."""

    short: str
    sentence: str


def because(judged: Verdict, facts: Facts) -> str:
    """Why the verdict on a stream is as it is."""
    if judged is Verdict.COMPLETE:
        run = facts.ended.run_id if facts.ended else None
        besides = f", but for {sum(facts.let_go):,} that were let go" if any(facts.let_go) else ""
        return f"Run {run} walked it to its end, and all that was ever met is here{besides}."
    if judged is Verdict.KNOWN_ABSENT:
        return _absence(facts)
    return " ".join(dict.fromkeys([*_supply(facts), *_missing(facts), *_walk(facts)]))


def what_next(judged: Verdict, facts: Facts) -> str:
    """What happens next, and what the owner can do about it; the most urgent first."""
    if judged is Verdict.KNOWN_ABSENT:
        return NOBODY_GOES_BACK
    if facts.judged.supply is Supply.NOT_INSTALLED:
        return _install(facts.outlook)
    if facts.judged.supply is Supply.UNDECLARED:
        return "What is held stays; no run walks it."
    actions = [_action(facts, group, who) for who in _ORDER for group in facts.mended_by(who)]
    if judged in (Verdict.UNKNOWN, Verdict.COMPLETE):
        actions.append(_next_walk(facts))
    return " ".join(dict.fromkeys(actions))


def sentence(reason: str) -> str:
    """A reason in one sentence."""
    known = known_reason(reason)
    return known.sentence if known else f"The connector says: {reason}."


def owner_action(gap: Gap, outlook: Outlook) -> OwnerAction:
    """What the owner does about gaps that wait for them."""
    name = outlook.view.name
    if outlook.manifest is None:
        return OwnerAction("install the connector", _install(outlook))
    if gap.exhausted:
        return OwnerAction("recover", f"Given up after many tries; ask for it again with: pdpp-worker recover {name}")
    if gap.next_attempt_at is not None:
        return OwnerAction("resume", _resume(outlook))
    if gap.recovery_kind == RecoveryKind.UPGRADE:
        return OwnerAction(
            "run --full", f"The version that may read it is installed; walk again with: pdpp-worker run {name} --full"
        )
    if gap.reason == Reason.CREDENTIALS_EXPIRED:
        return OwnerAction("sign in", f"Renew the sign-in with: pdpp-worker connection secret {name} KEY")
    if known_reason(gap.reason) in NEEDS_OWNER:
        return OwnerAction("sign in", f"Open the account yourself once, then: pdpp-worker recover {name}")
    return OwnerAction("recover", f"It has no time for its next try; give it one with: pdpp-worker recover {name}")


def version_of(gap: Gap) -> str:
    """The version of the connector that gaps wait for."""
    return gap.connector_version_required or f"above {gap.connector_version_seen}"


def upgrade_action(gap: Gap, outlook: Outlook) -> str:
    """Which version is waited for, and what happens once it is there."""
    by_itself = outlook.manifest is not None and outlook.manifest.recovery.supports_version_bumped_retry
    again = f"then: pdpp-worker run {outlook.view.name} --full"
    then = "the fleet then goes back for it by itself." if by_itself else again
    return f"Waits for version {version_of(gap)} of the connector {outlook.view.connector}; {then}"


def _install(outlook: Outlook) -> str:
    return f"Install the connector {outlook.view.connector}; its streams are walked again then."


def _resume(outlook: Outlook) -> str:
    return f"The connection is paused; go on with: pdpp-worker connection resume {outlook.view.name}"


def _absence(facts: Facts) -> str:
    declared = facts.outlook.manifest.stream(facts.stream) if facts.outlook.manifest else None
    if declared is not None and (reason := never_supplied(declared, facts.outlook.view.settings)) is not None:
        return reason
    waived, absent = facts.let_go
    return f"All that was expected was waived by you ({waived:,}) or does not exist at the provider ({absent:,})."


def _supply(facts: Facts) -> Iterator[str]:
    if facts.judged.supply is Supply.NOT_INSTALLED:
        yield f"The connector {facts.outlook.view.connector} is not installed."
    manifest = facts.outlook.manifest
    if facts.judged.supply is Supply.UNDECLARED and manifest is not None:
        yield f"Version {manifest.version} of the connector {manifest.name} does not know this stream."


def _missing(facts: Facts) -> Iterator[str]:
    for who in _ORDER:
        for group in facts.mended_by(who):
            if group.stream != facts.stream:
                yield f"Something is missing of the stream {group.stream}, which it depends on."
            yield f"Given up: {group.reason}." if group.exhausted else sentence(group.reason)


def _walk(facts: Facts) -> Iterator[str]:
    if facts.judged.walk is Walk.FINISHED:
        return
    if facts.blame != facts.stream:
        yield f"The stream {facts.blame}, which it depends on, was not walked to its end."
    elif facts.ended is None:
        yield "It was never walked to its end." if facts.walking is None else f"Run {facts.walking} walks it."
    else:
        error = f": {facts.ended.error.rstrip('.')}" if facts.ended.error else ""
        status = facts.ended.status.replace("_", " ")
        place = "its end was not reached" if not facts.ended.finished else "the place that it reached was not kept"
        yield f"The last walk (run {facts.ended.run_id}) {status}, and {place}{error}."


def _action(facts: Facts, group: GapGroup, who: Mender) -> str:
    if who is Mender.OWNER:
        return owner_action(group, facts.outlook).sentence
    if who is Mender.UPGRADE:
        return upgrade_action(group, facts.outlook)
    return "It is being fetched now." if group.fetching else "The fleet goes back for it by itself."


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
