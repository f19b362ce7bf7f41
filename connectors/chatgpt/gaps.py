"""The gaps that START assigns, and how they are closed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pdpp_worker.connector import BatchScope, DetailGapRecovered, GapToClose, ResourceScope

BACKLOG = {"backlog": "conversations"}
"""The part of the list that a walk which stopped early has not come to."""


def by_conversation(gaps: Sequence[GapToClose]) -> dict[str, list[GapToClose]]:
    """The gaps about single conversations, or messages of them, by the conversation that has to be read."""
    found: dict[str, list[GapToClose]] = {}
    for known in gaps:
        if known.stream in ("conversations", "messages") and isinstance(known.scope, ResourceScope):
            found.setdefault(_conversation_of(known.scope.resource_id), []).append(known)
    return found


def is_backlog(known: GapToClose) -> bool:
    """Whether the gap is about the rest of the list."""
    return isinstance(known.scope, BatchScope) and known.scope.partition == BACKLOG


def closed(key: str, gaps: Sequence[GapToClose], *, absent: bool) -> Iterator[DetailGapRecovered]:
    """Close gaps by the row of conversation `key`, or because the platform says that it does not exist."""
    for known in gaps:
        yield DetailGapRecovered(gap_id=known.gap_id, stream="conversations", record_key=key, absent=absent)


def _conversation_of(name: str) -> str:
    """A message is named by its compound key as JSON: the conversation, then the node."""
    try:
        key = json.loads(name)
    except ValueError:
        return name
    return str(key[0]) if isinstance(key, list) and key else name
