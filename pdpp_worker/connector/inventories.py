"""The inventory of a part of any size: what does not fit is grouped, and nothing of it goes unnamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pdpp_worker.protocol.messages import MOST_MEMBERS, Inventory, SourceMember


def inventory_of(part: str, members: Iterable[SourceMember]) -> Inventory:
    """Make the INVENTORY of a part.

    Of more than `MOST_MEMBERS` members the first of each kind are named, and the others of that kind are one line with
    their number and size together.
    """
    given = list(members)
    if len(given) <= MOST_MEMBERS:
        return Inventory(part=part, members=given)
    kinds: dict[tuple[str, str, tuple[str, ...]], list[SourceMember]] = {}
    for one in given:
        kinds.setdefault((one.kind, one.disposition, tuple(one.streams)), []).append(one)
    share = MOST_MEMBERS // len(kinds)
    return Inventory(part=part, members=[one for alike in kinds.values() for one in _fitting(alike, share)])


def _fitting(alike: Sequence[SourceMember], share: int) -> Iterator[SourceMember]:
    """At most `share` members that stand for all of these."""
    if len(alike) <= share:
        yield from alike
        return
    yield from alike[: share - 1]
    others = alike[share - 1 :]
    sizes = [one.bytes for one in others if one.bytes is not None]
    named = {"name": f"{len(others):,} others", "count": sum(1 if one.count is None else one.count for one in others)}
    yield others[0].model_copy(update={**named, "bytes": sum(sizes) if len(sizes) == len(others) else None})
