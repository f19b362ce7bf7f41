"""The causes for which an owner is told something: from needs to what is the same at each look. Pure.

A cause is an action, not its sentence: another version words that in another way, and nothing would be over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pdpp_worker.coverage.cards import Need
from pdpp_worker.store.notices import Seen

_CHANGES = re.compile(r"\d[\d.,:]*")
"""Counts and times in a connector's question, by which the same cause looks like another one at each look."""


def causes(needs: Iterable[Need]) -> list[Seen]:
    """One cause for all needs of one action."""
    found: dict[tuple[int, str], Seen] = {}
    for need in needs:
        cause = _CHANGES.sub("#", need.action)
        found.setdefault((need.connection_id, cause), Seen(need.connection_id, cause, _told(need)))
    return list(found.values())


def _told(need: Need) -> str:
    streams = f" ({', '.join(need.streams)})" if need.streams else ""
    return f"{need.connection}{streams}: {need.sentence}"
