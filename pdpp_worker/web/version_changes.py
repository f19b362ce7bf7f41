"""Versions of a record as people read them: what changed from one to the next, member by member."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pdpp_worker.store.views.version_views import RecordVersion


@dataclass(frozen=True)
class MemberChange:
    """A member of a record that one version has and the next has otherwise."""

    member: str
    kind: str
    """`added`, `removed` or `changed`."""
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class EarlierVersion:
    """An earlier version in short."""

    place: int
    emitted_at: datetime
    deleted_at: datetime | None
    partial: bool
    run_id: int
    connector_version: str | None
    replaced_at: datetime
    replaced_by_run_id: int
    bytes: int
    is_kept: bool
    """Whether its content is kept, and not only that there was one."""
    changes: list[MemberChange] | None
    """Members that the version after it has otherwise; null: one of the two is not kept."""


def in_short(versions: Iterable[RecordVersion], now: Mapping[str, Any]) -> list[EarlierVersion]:
    """The versions of a record, the latest first, each beside the one after it; `now`: its content today."""
    after: Mapping[str, Any] | None = now
    found = []
    for one in versions:
        found.append(_short(one, changes(one.data, after)))
        after = one.data
    return found


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[MemberChange] | None:
    """The members that differ, in the order of the version before; None: one of the two is not known."""
    if before is None or after is None:
        return None
    members = dict.fromkeys([*before, *after])
    return [_change(name, before, after) for name in members if not _is_same(name, before, after)]


def _is_same(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return name in before and name in after and before[name] == after[name]


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> MemberChange:
    kind = "added" if name not in before else "removed" if name not in after else "changed"
    return MemberChange(name, kind, before.get(name), after.get(name))


def _short(one: RecordVersion, changed: list[MemberChange] | None) -> EarlierVersion:
    return EarlierVersion(
        place=one.place,
        emitted_at=one.emitted_at,
        deleted_at=one.deleted_at,
        partial=one.partial,
        run_id=one.run_id,
        connector_version=one.connector_version,
        replaced_at=one.replaced_at,
        replaced_by_run_id=one.replaced_by_run_id,
        bytes=one.bytes,
        is_kept=one.data is not None,
        changes=changed,
    )
