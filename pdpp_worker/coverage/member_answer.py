"""The answer about a member of a source: whether it is collected, and if not, why."""

from __future__ import annotations

from pdpp_worker.coverage.item import Answer, State
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.sentences import NOBODY_RETRIES
from pdpp_worker.coverage.source_parts import in_short, unknown_because, unknown_next
from pdpp_worker.coverage.verdict import Resolver
from pdpp_worker.store.views.member_views import MemberView

_STATES = {"unknown": State.UNKNOWN_PART, "declared": State.LEFT_OUT, "collected": State.COLLECTED}
_RESOLVERS = {State.UNKNOWN_PART: Resolver.UPGRADE, State.LEFT_OUT: Resolver.NOBODY}
_NAMELESS = (State.MAYBE_MISSING, State.NEVER_WALKED, State.FILTERED, State.NOT_KNOWN)


def with_member(answer: Answer, member: MemberView | None, outlook: Outlook) -> Answer:
    """The answer about an item; of one that is in no row of its own, the answer about the member of that name."""
    if member is None or answer.state not in _NAMELESS:
        return answer
    return about_member(member, outlook, answer.stream, answer.resource_id)


def about_member(member: MemberView, outlook: Outlook, stream: str | None, name: str | None) -> Answer:
    """The answer about a member that somebody names."""
    state, wait = _STATES[member.disposition], outlook.wait
    return Answer(
        connection=outlook.view.name,
        connector=outlook.view.connector,
        stream=stream,
        resource_id=name,
        state=state,
        because=_because(member, state, outlook.view.connector),
        next=_next(member, state, outlook),
        who_mends=_RESOLVERS.get(state),
        found_missing_at=None,
        attempts=None,
        last_tried_at=member.seen_at,
        next_attempt_at=None,
        waits_until=wait.until if wait else None,
        wait_reason=wait.reason if wait else None,
        fetching=False,
        cost=None,
        record=None,
        gap=None,
        rejection=None,
        member=member,
    )


def _because(member: MemberView, state: State, connector: str) -> str:
    if state is State.UNKNOWN_PART:
        return unknown_because([member], connector)
    if state is State.LEFT_OUT:
        return f"It is no item, but {in_short(member)} of the source, and left out: {member.reason}."
    return f"It is no item, but {in_short(member)} of the source, and goes into {', '.join(member.streams)}."


def _next(member: MemberView, state: State, outlook: Outlook) -> str:
    if state is State.UNKNOWN_PART and outlook.manifest is not None:
        return unknown_next([member], outlook.manifest)
    return NOBODY_RETRIES if state is State.LEFT_OUT else "Nothing is to be done."
