"""Coverage of each stream: what is held and missing, the verdict, and when what is missing will be here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.sentences import Facts, asked_of_owner, because, what_next
from pdpp_worker.coverage.source_parts import may_belong
from pdpp_worker.coverage.stream import (
    CompleteWalk,
    Interval,
    StreamCoverage,
    ancestors,
    is_optional,
    never_supplied,
)
from pdpp_worker.coverage.verdict import Resolver, StreamFacts, WalkEnd, verdict
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.store.views import coverage_views as store
from pdpp_worker.store.views import doubt_views, member_views
from pdpp_worker.store.views.coverage_views import ClosedWithoutItem, Covered, EndedWalk, GapGroup
from pdpp_worker.store.views.doubt_views import DoubtCounts
from pdpp_worker.store.views.member_views import MemberView

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NONE_CLOSED = ClosedWithoutItem(0, 0)
_NO_DOUBTS = DoubtCounts(0, 0)
_WORST_FIRST = (WalkEnd.NEVER, WalkEnd.UNFINISHED, WalkEnd.CHECKPOINT_REFUSED, WalkEnd.FINISHED)


def read(connection: Connection, outlooks: Sequence[Outlook]) -> list[StreamCoverage]:
    """The coverage of every stream of these connections, in their order.

    First the streams that the installed connector supplies, then those that it never does, then those of which
    something is known from another version.
    """
    ids = [one.view.id for one in outlooks]
    rows = _Rows(connection, ids)
    names = {one.view.id: list(_streams(one, rows)) for one in outlooks}
    rows.ended = store.ended_walks(connection, [(id_, name) for id_, found in names.items() for name in found])
    return [found for one in outlooks for found in _Account(one, rows).streams(names[one.view.id])]


class _Rows:
    """All rows that are asked for, each question once."""

    def __init__(self, connection: Connection, ids: Sequence[int]) -> None:
        self.held = store.records_held(connection, ids)
        self.in_part = store.held_in_part(connection, ids)
        self.missing = store.missing(connection, ids)
        self.closed_without_item = store.closed_without_item(connection, ids)
        self.covered = store.covered(connection, ids)
        self.doubts = doubt_views.count(connection, ids)
        self.walking = store.walking(connection, ids)
        self.unknown = member_views.read(connection, ids, unknown_only=True)
        self.ended: dict[store.StreamKey, EndedWalk] = {}


def _streams(outlook: Outlook, rows: _Rows) -> Iterator[str]:
    view = outlook.view
    declared = outlook.manifest.streams if outlook.manifest else []
    names = [one.name for one in sorted(declared, key=lambda one: never_supplied(one, view.settings) is not None)]
    yield from names
    touched = rows.held.keys() | rows.missing.keys() | rows.closed_without_item.keys() | rows.covered.keys()
    yield from sorted({name for id_, name in touched if id_ == view.id} - set(names))


class _Account:
    """One connection's streams."""

    def __init__(self, outlook: Outlook, rows: _Rows) -> None:
        self._outlook = outlook
        self._view = outlook.view
        self._manifest = outlook.manifest
        self._rows = rows
        self._all = [one for (id_, _), found in rows.missing.items() if id_ == outlook.view.id for one in found]

    def streams(self, names: Iterable[str]) -> list[StreamCoverage]:
        """Their coverage, in this order."""
        return [self._stream(name) for name in names]

    def _stream(self, name: str) -> StreamCoverage:
        key = (self._view.id, name)
        groups = self._rows.missing.get(key, [])
        facts = self._facts(name, groups)
        judged = verdict(facts.judged)
        asked = asked_of_owner(judged, facts)
        return StreamCoverage(
            connection=self._view.name,
            connector=self._view.connector,
            stream=name,
            supply=facts.judged.availability,
            optional=is_optional(self._manifest, name),
            verdict=judged,
            because=because(judged, facts),
            next=what_next(judged, facts),
            asked_of_owner=[one.sentence for one in asked],
            owner_actions=[one.short for one in asked],
            records=facts.judged.records if self._is_known(key) else None,
            missing=_items(facts),
            open_gaps=_by_kind(groups),
            exhausted=sum(one.count for one in groups if one.exhausted),
            fetching=sum(one.count for one in groups if one.fetching),
            waived=facts.closed_without_item.waived,
            absent_upstream=facts.closed_without_item.absent_upstream,
            in_doubt=self._rows.doubts.get(key, _NO_DOUBTS).in_doubt,
            deletions_waiting=facts.judged.deletions_waiting,
            unknown_parts=list(facts.unknown),
            **self._when(groups),
            **_walked(self._rows.covered.get(key)),
            last_walk=facts.ended,
        )

    def _when(self, groups: list[GapGroup]) -> dict[str, Any]:
        expected, wait = self._outlook.expected(self._all, groups), self._outlook.wait
        return {
            "next_attempt_at": self._next_try(groups),
            "done_at": expected.done_at if expected else None,
            "done_give_or_take_s": expected.spread.total_seconds() if expected else None,
            "waits_until": wait.until if wait else None,
            "wait_reason": wait.reason if wait else None,
        }

    def _facts(self, name: str, groups: list[GapGroup]) -> Facts:
        key, (walk, blame), unknown = (self._view.id, name), self._worst_walk(name), self._unknown(name)
        closed_without_item = self._rows.closed_without_item.get(key, _NONE_CLOSED)
        resolvers, above = self._resolvers(groups), self._resolvers(self._above(name))
        below = self._resolvers(one for one in self._below(key) if one not in above)
        counts = _counts([*resolvers.items(), *above.items(), *below.items()])
        judged = StreamFacts(
            availability=self._outlook.availability(name),
            walk=walk,
            records=self._rows.held.get(key, 0),
            by_owner=counts[Resolver.OWNER],
            by_upgrade=counts[Resolver.UPGRADE],
            by_time=counts[Resolver.TIME],
            whole_stream=any(one.whole_stream for one in groups),
            closed_without_item=sum(closed_without_item),
            deletions_waiting=self._rows.doubts.get(key, _NO_DOUBTS).waiting,
            unknown_parts=len(unknown),
        )
        return Facts(
            outlook=self._outlook,
            stream=name,
            judged=judged,
            groups=resolvers,
            above=above,
            below=below,
            unknown=unknown,
            closed_without_item=closed_without_item,
            ended=self._rows.ended.get(key),
            walking=self._rows.walking.get(self._view.id),
            blame=blame,
        )

    def _unknown(self, name: str) -> list[MemberView]:
        """Unknown members of the source that may hold something of the stream, or of one that it depends on."""
        family = {name, *ancestors(self._manifest, name)}
        return [one for one in self._rows.unknown[self._view.id] if may_belong(one, family)]

    def _resolvers(self, groups: Iterable[GapGroup]) -> dict[GapGroup, Resolver]:
        return {one: self._outlook.resolver(one) for one in groups}

    def _next_try(self, groups: Iterable[GapGroup]) -> datetime | None:
        times = (self._outlook.next_try(one) for one in groups)
        return min((at for at in times if at is not None), default=None)

    def _worst_walk(self, name: str) -> tuple[WalkEnd, str]:
        """The worst end of a last walk among the stream and those that it depends on, and whose it is."""
        walks = [(self._walk(one), one) for one in (name, *ancestors(self._manifest, name))]
        return min(walks, key=lambda walk: _WORST_FIRST.index(walk[0]))

    def _above(self, name: str) -> list[GapGroup]:
        """Gaps of the streams that it depends on, without records that were read and refused."""
        keys = [(self._view.id, parent) for parent in ancestors(self._manifest, name)]
        found = [one for key in keys for one in self._rows.missing.get(key, [])]
        return [one for one in found if one.reason != Reason.RECORD_REJECTED]

    def _below(self, key: store.StreamKey) -> list[GapGroup]:
        """Gaps of other streams about details of records of the stream, where some of these are held in part only."""
        if key not in self._rows.in_part:
            return []
        return [one for one in self._all if one.parent_stream == key[1] and one.stream != key[1]]

    def _walk(self, name: str) -> WalkEnd:
        ended = self._rows.ended.get((self._view.id, name))
        if ended is None:
            return WalkEnd.NEVER
        if not ended.finished:
            return WalkEnd.UNFINISHED
        return WalkEnd.CHECKPOINT_REFUSED if ended.checkpoint_refused else WalkEnd.FINISHED

    def _is_known(self, key: store.StreamKey) -> bool:
        """Whether any run has touched the stream; a zero would claim to know."""
        walked = CompleteWalk.of(self._rows.covered.get(key)) is not None
        return walked or any(key in found for found in (self._rows.held, self._rows.missing, self._rows.ended))


def _walked(covered: Covered | None) -> dict[str, Any]:
    return {
        "max_seen": covered.max_seen if covered else None,
        "intervals": [Interval(*pair) for pair in covered.intervals] if covered else [],
        "last_complete_walk": CompleteWalk.of(covered),
    }


def _counts(gaps: Iterable[tuple[GapGroup, Resolver]]) -> dict[Resolver, int]:
    counts = dict.fromkeys(Resolver, 0)
    for one, who in gaps:
        counts[who] += one.count
    return counts


def _items(facts: Facts) -> int | None:
    """The number of missing items; None where nobody can tell."""
    if (
        facts.above
        or facts.unknown
        or facts.judged.walk is not WalkEnd.FINISHED
        or any(one.resources < one.count for one in facts.groups)
    ):
        return None
    return sum(one.count for one in facts.groups)


def _by_kind(groups: Iterable[GapGroup]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in groups:
        reasons = found.setdefault(one.recovery_kind, {})
        reasons[one.reason] = reasons.get(one.reason, 0) + one.count
    return found
