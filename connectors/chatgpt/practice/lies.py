"""The lists of conversations as a platform may give them: in another order, short, or the same page again and again."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.chatgpt.practice.conversation import Conversation
from connectors.chatgpt.practice.options import FaultOptions
from pdpp_worker.conformance.seeding import generator

STRAY_AT = 95
"""The place of the old item: where a reader's second page is likely to begin."""


def ordered(listed: Sequence[Conversation], faults: FaultOptions, seed: int) -> list[Conversation]:
    """The list in the order of the fault options."""
    found = list(listed)
    if faults.list_order == "shuffled":
        generator(seed, "order").shuffle(found)
    elif faults.list_order == "stray" and found:
        found.insert(min(STRAY_AT, len(found) // 2), found.pop())
    return found


def page_of(listed: Sequence[Conversation], offset: int, limit: int, faults: FaultOptions) -> Sequence[Conversation]:
    """The items that a request for `limit` items at `offset` gets."""
    begin = 0 if faults.list_repeats else offset
    return listed[begin : begin + min(limit, faults.list_page or limit)]
