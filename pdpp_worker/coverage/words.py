"""The read model in sentences that an owner can read: why a verdict is as it is, and what happens next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pdpp_worker.coverage.stream import Facts, never_supplied
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason, RecoveryKind, known_reason
from pdpp_worker.recovery.verdict import Mender, Supply, Verdict, Walk
from pdpp_worker.store.coverage import GapGroup
from pdpp_worker.store.readmodels import GapView

NOBODY_GOES_BACK = "Nobody goes back for it."
_ORDER = (Mender.OWNER, Mender.UPGRADE, Mender.TIME)


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
        return f"Install the connector {facts.view.connector}; its streams are walked again then."
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


def owner_action(reason: str, name: str, *, exhausted: bool, upgrade: bool) -> str:
    """What the owner does about gaps that wait for them."""
    if exhausted:
        return f"Given up after many tries; ask for it again with: pdpp-worker recover {name}"
    if upgrade:
        return f"The version that may read it is installed; walk again with: pdpp-worker run {name} --full"
    if reason == Reason.CREDENTIALS_EXPIRED:
        return f"Renew the sign-in with: pdpp-worker connection secret {name} KEY"
    if reason in NEEDS_OWNER:
        return f"Open the account yourself once, then: pdpp-worker recover {name}"
    return f"It has no time for its next try; give it one with: pdpp-worker recover {name}"


def upgrade_action(gap: GapGroup | GapView, connector: str, name: str, manifest: Manifest | None) -> str:
    """Which version is waited for, and what happens once it is there."""
    version = gap.connector_version_required or f"above {gap.connector_version_seen}"
    by_itself = manifest is not None and manifest.recovery.supports_version_bumped_retry
    then = "the fleet then goes back for it by itself." if by_itself else f"then: pdpp-worker run {name} --full"
    return f"Waits for version {version} of the connector {connector}; {then}"


def _absence(facts: Facts) -> str:
    declared = facts.manifest.stream(facts.stream) if facts.manifest else None
    if declared is not None and (reason := never_supplied(declared, facts.view.settings)) is not None:
        return reason
    waived, absent = facts.let_go
    return f"All that was expected was waived by you ({waived:,}) or does not exist at the provider ({absent:,})."


def _supply(facts: Facts) -> Iterator[str]:
    if facts.judged.supply is Supply.NOT_INSTALLED:
        yield f"The connector {facts.view.connector} is not installed."
    if facts.judged.supply is Supply.UNDECLARED and facts.manifest is not None:
        yield f"Version {facts.manifest.version} of the connector {facts.manifest.name} does not know this stream."


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
    name = facts.view.name
    upgrade = group.recovery_kind == RecoveryKind.UPGRADE
    if who is Mender.OWNER:
        return owner_action(group.reason, name, exhausted=group.exhausted, upgrade=upgrade)
    if who is Mender.UPGRADE:
        return upgrade_action(group, facts.view.connector, name, facts.manifest)
    return "It is being fetched now." if group.fetching else "The fleet goes back for it by itself."


def _next_walk(facts: Facts) -> str:
    if facts.walking is not None:
        return f"Run {facts.walking} walks it; see: pdpp-worker runs show {facts.walking}"
    if facts.view.paused:
        return f"The connection is paused; go on with: pdpp-worker connection resume {facts.view.name}"
    if facts.view.next_run_at is None:
        return f"It has no schedule; walk it with: pdpp-worker run {facts.view.name}"
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
