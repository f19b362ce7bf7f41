"""One item: whether it is here, since when it is missing, why, and who retries it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.sentences import NOBODY_RETRIES, closed_by_walk, owner_action, sentence, upgrade_action
from pdpp_worker.coverage.stream import StreamCoverage, ancestors
from pdpp_worker.coverage.verdict import Availability, Resolver
from pdpp_worker.pacing.forecast import cost_of
from pdpp_worker.store.views import attempt_views, item_views
from pdpp_worker.store.views.attempt_views import GapAttempt
from pdpp_worker.store.views.item_views import ItemGap, ItemRecord, ItemRejection
from pdpp_worker.store.views.member_views import MemberView

if TYPE_CHECKING:
    from sqlalchemy import Connection


class State(StrEnum):
    """State of an item, as far as it is known."""

    HELD = "held"
    DELETED = "deleted"
    MISSING = "missing"
    GIVEN_UP = "given_up"
    RECOVERED = "recovered"
    WAIVED = "waived"
    ABSENT_UPSTREAM = "absent_upstream"
    NEVER_SUPPLIED = "never_supplied"
    FILTERED = "filtered"
    MAYBE_MISSING = "maybe_missing"
    NEVER_WALKED = "never_walked"
    NOT_KNOWN = "not_known"
    UNKNOWN_PART = "unknown_part"
    LEFT_OUT = "left_out"
    COLLECTED = "collected"


@dataclass(frozen=True)
class Cost:
    """Cost of the next try; `seconds` is None as long as the rate is unknown."""

    requests: int
    seconds: float | None


@dataclass(frozen=True)
class Answer:
    """The answer about one item. These names are the keys of `--json`."""

    connection: str
    connector: str
    stream: str | None
    """None: the answer is about a member of the source."""
    resource_id: str | None
    state: State
    because: str
    next: str
    who_mends: Resolver | None
    """None: nothing is left to do."""
    found_missing_at: datetime | None
    attempts: int | None
    last_tried_at: datetime | None
    next_attempt_at: datetime | None
    waits_until: datetime | None
    """End of the wait in which nothing is asked for at the connection."""
    wait_reason: str | None
    fetching: bool
    cost: Cost | None
    record: ItemRecord | None
    gap: ItemGap | None
    rejection: ItemRejection | None
    member: MemberView | None = None
    """The member of the source that has this name."""
    tries: Sequence[GapAttempt] = ()
    """The tries of the gap that are kept, oldest first."""
    tries_not_kept: int = 0
    """How many more were counted: old ones, and those of earlier versions."""


@dataclass(frozen=True)
class _Known:
    """All rows about the item."""

    stream: StreamCoverage
    outlook: Outlook
    resource: str | None
    record: ItemRecord | None
    gap: ItemGap | None
    wider: ItemGap | None
    rejection: ItemRejection | None
    asked_for: Mapping[str, Any] | None
    """The scope that the last ended walk had of the stream."""
    tries: Sequence[GapAttempt] = ()
    """Tries of the gap, or of the wider one."""


def about_resource(connection: Connection, stream: StreamCoverage, outlook: Outlook, resource: str) -> _Known:
    """Collect all that is known of an item that somebody names."""
    connection_id, name = outlook.view.id, stream.stream
    run_id = stream.last_walk.run_id if stream.last_walk else None
    gap = item_views.gap_of(connection, connection_id, name, resource)
    wider = item_views.wider_gap(connection, connection_id, [name, *ancestors(outlook.manifest, name)])
    return _Known(
        stream=stream,
        outlook=outlook,
        resource=resource,
        record=item_views.record_of(connection, connection_id, name, resource),
        gap=gap,
        wider=wider,
        rejection=item_views.rejection_of(connection, connection_id, name, resource),
        asked_for=None if run_id is None else item_views.asked_for(connection, run_id, name),
        tries=_tries(connection, gap or wider),
    )


def _tries(connection: Connection, gap: ItemGap | None) -> Sequence[GapAttempt]:
    return attempt_views.of_gap(connection, gap.id) if gap is not None else ()


def about_gap(connection: Connection, stream: StreamCoverage, outlook: Outlook, gap: ItemGap) -> _Known:
    """Collect all that is known of the item of a gap."""
    resource = gap.scope.get("resource_id")
    if resource is not None:
        return about_resource(connection, stream, outlook, str(resource))
    return _Known(stream, outlook, None, None, gap, None, None, None, _tries(connection, gap))


def answer(known: _Known) -> Answer:
    """The answer, with what the next try costs at the learned rate."""
    state = state_of(known)
    gap = known.wider if state is State.MAYBE_MISSING else known.gap
    who = _resolver(state, known.outlook, gap)
    next_at = known.outlook.next_try(gap) if gap is not None else None
    return Answer(
        connection=known.stream.connection,
        connector=known.stream.connector,
        stream=known.stream.stream,
        resource_id=known.resource,
        state=state,
        because=_BECAUSE[state](known),
        next=_next(state, known, gap, who),
        who_mends=who,
        found_missing_at=gap.opened_at if gap else None,
        attempts=gap.attempts if gap else None,
        last_tried_at=gap.last_tried_at if gap else None,
        next_attempt_at=next_at,
        waits_until=known.stream.waits_until,
        wait_reason=known.stream.wait_reason,
        fetching=gap is not None and gap.fetching,
        cost=_cost(gap, who, known.outlook.recovery_interval_ms),
        record=known.record,
        gap=replace(gap, next_attempt_at=next_at) if gap is not None else None,
        rejection=known.rejection,
        tries=known.tries if gap else (),
        tries_not_kept=attempt_views.not_kept(known.tries, gap.attempts) if gap else 0,
    )


def _resolver(state: State, outlook: Outlook, gap: ItemGap | None) -> Resolver | None:
    if state is State.NEVER_SUPPLIED:
        return Resolver.NOBODY
    return None if gap is None or state in (State.HELD, State.DELETED) else outlook.who_mends(gap)


def state_of(known: _Known) -> State:
    """The state of the item; a gap comes first, even where an older version of the item is held."""
    gap, record = known.gap, known.record
    if gap is not None and gap.closed_at is None:
        return State.GIVEN_UP if gap.exhausted else State.MISSING
    if record is not None:
        return State.HELD if record.deleted_at is None else State.DELETED
    if gap is not None:
        return State(gap.status)
    return _state_by_stream(known)


def _state_by_stream(known: _Known) -> State:
    """The state of an item of which no row is known, by what its stream says."""
    if known.stream.supply is Availability.NEVER:
        return State.NEVER_SUPPLIED
    if known.wider is not None:
        return State.MAYBE_MISSING
    if known.stream.last_walk is None:
        return State.NEVER_WALKED
    return State.FILTERED if _is_filtered(known) else State.NOT_KNOWN


def _is_filtered(known: _Known) -> bool:
    """Whether the last walk was to leave the item out; of a period nobody can tell without the item."""
    asked_for = known.asked_for or {}
    resources = asked_for.get("resources")
    return (resources is not None and known.resource not in resources) or asked_for.get("time_range") is not None


def _cost(gap: ItemGap | None, who: Resolver | None, interval_ms: float | None) -> Cost | None:
    if gap is None or who in (None, Resolver.NOBODY) or "resource_id" not in gap.scope:
        return None
    return Cost(1, None if interval_ms is None else cost_of(1, interval_ms).total_seconds())


def _next(state: State, known: _Known, gap: ItemGap | None, who: Resolver | None) -> str:
    if known.stream.supply is not Availability.SUPPLIED:
        return known.stream.next
    walk = closed_by_walk(gap.scope, known.outlook) if gap is not None else None
    if gap is not None and who is Resolver.OWNER:
        if gap.exhausted and walk is not None and "resource_id" not in gap.scope:
            return f"Given up after many tries. {walk}"
        if gap.exhausted:
            return f"Given up after many tries; ask for it again with: {_reopen(gap)}"
        return owner_action(gap, known.outlook).sentence
    if gap is not None and who is Resolver.UPGRADE:
        return upgrade_action(gap, known.outlook)
    if who is Resolver.TIME:
        retried = "It is being fetched now." if gap and gap.fetching else "The fleet retries it by itself."
        return retried if walk is None else f"{retried} {walk}"
    if who is Resolver.NOBODY:
        return f"{NOBODY_RETRIES} Ask for it after all with: {_reopen(gap)}" if gap else NOBODY_RETRIES
    if state is State.NOT_KNOWN:
        return f"If the source has it, a walk brings it: pdpp-worker run {known.outlook.view.name}"
    return known.stream.next if state in (State.NEVER_WALKED, State.FILTERED) else "Nothing is to be done."


def _reopen(gap: ItemGap) -> str:
    return f"pdpp-worker gaps reopen {gap.connection} --gap {gap.id}"


def _missing(known: _Known) -> str:
    assert known.gap is not None  # noqa: S101 - the state says so
    words = [sentence(known.gap.reason)]
    if known.rejection is not None:
        words.append(f"It is kept as it came, as rejection {known.rejection.id} of run {known.rejection.run_id}.")
    if known.record is not None and known.record.deleted_at is None:
        words.append(f"An earlier version of it is here since run {known.record.first_run_id}.")
    return " ".join(words)


def _held(known: _Known) -> str:
    assert known.record is not None  # noqa: S101 - the state says so
    words = f"It is here since run {known.record.first_run_id}"
    if known.record.last_run_id != known.record.first_run_id:
        words += f", as run {known.record.last_run_id} saw it"
    return f"{words}."


def _closed(ending: str) -> Callable[[_Known], str]:
    def words(known: _Known) -> str:
        assert known.gap is not None  # noqa: S101 - the state says so
        return f"{ending} (gap {known.gap.id}, run {known.gap.last_run_id})."

    return words


def _maybe(known: _Known) -> str:
    assert known.wider is not None  # noqa: S101 - the state says so
    name = known.wider.stream
    stream = "stream" if name == known.stream.stream else f"stream {name}, which it depends on"
    part = f"the whole {stream}" if known.wider.scope == {"partition": {}} else f"a part of the {stream}"
    return f"Nothing is known of it by itself; gap {known.wider.id} is about {part}. {sentence(known.wider.reason)}"


def _not_known(known: _Known) -> str:
    walk = known.stream.last_complete_walk
    if walk is None:
        return "It is unknown here under this name, and no walk came to its end yet."
    return f"It is unknown here under this name: run {walk.run_id} walked the stream to its end without meeting it."


_BECAUSE: Mapping[State, Callable[[_Known], str]] = {
    State.HELD: _held,
    State.DELETED: lambda _: "The source has deleted it; its last version is kept.",
    State.MISSING: _missing,
    State.GIVEN_UP: _missing,
    State.RECOVERED: _closed("It was missing, and was read after all"),
    State.WAIVED: _closed("It was missing, and you do without it"),
    State.ABSENT_UPSTREAM: _closed("The provider says that it does not exist"),
    State.NEVER_SUPPLIED: lambda known: known.stream.because,
    State.FILTERED: lambda _: "The last walk was asked for a part of the stream only, and left it out.",
    State.MAYBE_MISSING: _maybe,
    State.NEVER_WALKED: lambda known: known.stream.because,
    State.NOT_KNOWN: _not_known,
}
