"""Sentences about the members of a source that are not collected, and which of them concern a stream."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.patterns import is_pattern, stands_for
from pdpp_worker.store.views.member_views import MemberView

NAMED = 3
"""Members that a sentence names."""
_KILO = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB")


def may_belong(member: MemberView, streams: Collection[str]) -> bool:
    """Whether a member may hold something of one of these streams: it names one of them, or none at all."""
    return not member.streams or not set(member.streams).isdisjoint(streams)


def find(members: Sequence[MemberView], name: str) -> MemberView | None:
    """The member of that name, or else the first one whose pattern fits it."""
    exact = (one for one in members if one.name == name)
    alike = (one for one in members if stands_for(one.name, name))
    return next(exact, None) or next(alike, None)


def in_short(member: MemberView) -> str:
    """A member in a phrase: `12 files like todos/*.json (48 kB)`, `list archived (3 items)`."""
    size = [] if member.bytes is None else [size_of(member.bytes)]
    if is_pattern(member.name):
        number = "" if member.count is None else f"{member.count:,} "
        return f"{number}{member.kind} like {member.name}{_in_brackets(size)}"
    items = [] if member.count is None else ["1 item" if member.count == 1 else f"{member.count:,} items"]
    return f"{member.kind} {member.name}{_in_brackets([*items, *size])}"


def fate(member: MemberView) -> str:
    """Say what becomes of a member."""
    streams = ", ".join(member.streams)
    if member.disposition == "collected":
        return f"collected into {streams}"
    if member.disposition == "declared":
        return f"left out: {member.reason}"
    return f"unknown to version {member.version}; it may belong to {streams or 'any stream'}"


def in_one_line(members: Sequence[MemberView]) -> str:
    """The first of several members, and how many others there are."""
    named = [in_short(one) for one in members[:NAMED]]
    others = len(members) - len(named)
    return ", ".join([*named, f"{others:,} others"] if others else named)


def unknown_because(members: Sequence[MemberView], connector: str) -> str:
    """Say what the source holds that the connector does not know."""
    versions = " and ".join(sorted({one.version for one in members}))
    return (
        f"The source has {in_one_line(members)}, which version {versions} of the connector {connector} does not know."
    )


def unknown_next(members: Sequence[MemberView], manifest: Manifest) -> str:
    """Tell what the owner can do about members that are unknown."""
    if any(one.version == manifest.version for one in members):
        return f"Look for a newer version of the connector {manifest.name}, or tell its author what it does not know."
    return f"Version {manifest.version} of the connector {manifest.name}, which is installed now, has not looked yet."


def size_of(count: int) -> str:
    """A number of bytes in the largest unit of which there is one at least."""
    size, unit = float(count), 0
    while size >= _KILO and unit < len(_UNITS) - 1:
        size, unit = size / _KILO, unit + 1
    return f"{size:.3g} {_UNITS[unit]}"


def _in_brackets(facts: Sequence[str]) -> str:
    return f" ({', '.join(facts)})" if facts else ""
