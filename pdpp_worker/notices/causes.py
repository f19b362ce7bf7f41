"""The causes for which an owner is told something: from needs to what is the same at each look. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pdpp_worker.coverage.cards import Need
from pdpp_worker.store.notices import Seen

_CHANGES = re.compile(r"\d[\d.,:]*")
"""Counts and times in a sentence, by which the same cause looks like another one at each look."""


def causes(needs: Iterable[Need]) -> list[Seen]:
    """One cause for all needs that differ in numbers only."""
    found: dict[tuple[int, str], Seen] = {}
    for need in needs:
        cause = _CHANGES.sub("#", need.sentence)
        found.setdefault((need.connection_id, cause), Seen(need.connection_id, cause, _told(need)))
    return list(found.values())


def _told(need: Need) -> str:
    streams = f" ({', '.join(need.streams)})" if need.streams else ""
    return f"{need.connection}{streams}: {need.sentence}"
