"""The messages of a conversation from the newest down, with a lower end that is seen and not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from connectors.slack.api import PAGE, Api, refuse_nameless
from connectors.slack.errors import DisorderError
from connectors.slack.fields import micros
from connectors.slack.rows import Obj

NEVER = 10**18
"""Later than any message, microseconds since 1970."""


class Section(NamedTuple):
    """The messages of a page that lie above the lower end."""

    messages: list[Obj]
    mark: str | None
    """The `ts` of the page's last message; the walk can go on below it."""
    hides: bool
    """Whether the plan's limit hides what lies below it."""
    has_floor: bool
    """Whether a message at or below the lower end was shown too, so that nothing is missing above it."""
    size: int
    """The number of messages of the page."""
    has_more: bool
    """Whether another page follows."""


def downward(api: Api, channel: str, latest: str | None, low: int, limit: int = PAGE) -> Iterator[Section]:
    """Sections of a conversation, newest first, between two times that are both exclusive.

    `latest` is a `ts` (None: the newest message), `low` is in microseconds since 1970.

    Raises:
        NamelessError, DisorderError: something between the ends was, or may have been, passed over; all else was given.
    """
    before, nameless, is_ordered = micros(latest) or NEVER, 0, True
    for page in api.history(channel, latest, limit):
        times = [micros(raw["ts"]) or 0 for raw in page.items]
        nameless += page.nameless
        is_ordered = is_ordered and all(newer > older for newer, older in pairwise([before, *times]))
        before = min([before, *times])
        inside = [raw for raw, time in zip(page.items, times, strict=True) if time > low]
        has_floor = is_ordered and len(inside) < len(times)
        has_more = page.cursor is not None and not has_floor
        yield Section(
            inside, page.items[-1]["ts"] if page.items else None, page.hides, has_floor, len(page.items), has_more
        )
        if has_floor:
            break
    refuse_nameless("conversations.history", nameless)
    if not is_ordered:
        raise DisorderError("conversations.history did not answer newest first")
