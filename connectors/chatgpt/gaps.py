"""The gaps that START assigns, and how they are closed: each by the thing that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pdpp_worker.connector import (
    BatchScope,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    ResourceScope,
    ShapeError,
    still_missing,
)

TREES = ("conversations", "messages", "files")
"""The streams that come with the walks over the lists."""
BACKLOG: dict[str, Any] = {"backlog": "conversations"}
"""The part of the lists that a walk which stopped early has not come to."""
NAMELESS: dict[str, Any] = {"list_items": "without a usable id"}
"""Items of a list or an export that nothing can be asked by."""


def by_conversation(gaps: Sequence[GapToClose]) -> dict[str, list[GapToClose]]:
    """The gaps about single conversations, or messages of them, by the conversation that has to be read."""
    found: dict[str, list[GapToClose]] = {}
    for known in gaps:
        if known.stream in TREES and isinstance(known.scope, ResourceScope):
            found.setdefault(_conversation_of(known.scope.resource_id), []).append(known)
    return found


def is_backlog(known: GapToClose) -> bool:
    """Whether the gap is about the rest of the list."""
    return isinstance(known.scope, BatchScope) and known.scope.partition == BACKLOG


def closed(
    key: str, gaps: Sequence[GapToClose], children: Mapping[str, Sequence[str]]
) -> Iterator[DetailGapRecovered | DetailGap]:
    """Close gaps of conversation `key`, which was read, each by a record of its own stream.

    `children`: for each stream that hangs on it the keys of its records. Where there is none, the platform says that
    there is none. A message that is not among them stays a gap: nobody said that it was deleted.
    """
    for known in gaps:
        there = [key] if known.stream == "conversations" else children.get(known.stream, ())
        wanted = known.scope.resource_id if isinstance(known.scope, ResourceScope) else key
        proof = next((one for one in there if wanted in (key, one)), None)
        if proof is None and there:
            yield still_missing(ShapeError("the conversation was read, and this is not in it"), known)
            continue
        yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=proof or key, absent=not proof)


def absent(key: str, gaps: Sequence[GapToClose]) -> Iterator[DetailGapRecovered]:
    """Close gaps because the platform says that conversation `key` does not exist."""
    for known in gaps:
        yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=key, absent=True)


def _conversation_of(name: str) -> str:
    """A message is named by its compound key as JSON: the conversation, then the node."""
    try:
        key = json.loads(name)
    except ValueError:
        return name
    return str(key[0]) if isinstance(key, list) and key else name
