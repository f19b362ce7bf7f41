"""Coverage month by month: what is held, what is missing, and what was never walked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from pdpp_worker.coverage.stream import Interval
from pdpp_worker.coverage.verdict import Availability

MOST = 120
"""Months that are told of, the latest ones."""


class MonthState(StrEnum):
    """State of a stream in a month; the most serious one that applies."""

    ABSENT = "absent"
    """The connector never supplies the stream."""
    MISSING = "missing"
    NOT_WALKED = "not_walked"
    """No walk has covered the month, and nothing of it is held."""
    HELD = "held"
    EMPTY = "empty"
    """Walked, and nothing is there."""
    UNKNOWN = "unknown"
    """Nothing of it is held, and the connector does not tell which periods it walks."""


@dataclass(frozen=True)
class Month:
    """A stream in one month."""

    begin: datetime
    state: MonthState
    held: int
    missing: int
    """Missing items whose time is known to be in it."""


def months_of(
    supply: Availability,
    walked: Sequence[Interval],
    held: Mapping[datetime, int],
    missing: Iterable[Interval],
    now: datetime,
    items: Mapping[datetime, int] = MappingProxyType({}),
) -> list[Month]:
    """The months of a stream from the first one of which anything is known until now.

    `walked` are the periods that walks covered, none: the connector does not tell. `held` counts records by the month
    of their own time (its beginning, UTC); `missing` are periods of which gaps say
    that something is missing; `items` counts missing items whose time is known, by the month of it.
    """
    ranges = list(missing)
    known = [*held, *items, *(one.since for one in (*ranges, *walked) if one.since is not None)]
    begins = _between(min([*known, now]), now)
    return [
        Month(
            begin,
            MonthState.MISSING if begin in items else _state(supply, walked, held.get(begin, 0), ranges, (begin, end)),
            held.get(begin, 0),
            items.get(begin, 0),
        )
        for begin, end in zip(begins, [*begins[1:], now], strict=True)
    ]


def _state(
    supply: Availability,
    walked: Sequence[Interval],
    held: int,
    missing: Sequence[Interval],
    month: tuple[datetime, datetime],
) -> MonthState:
    if supply is Availability.NEVER and not held:
        return MonthState.ABSENT
    if any(_overlaps(one, *month) for one in missing):
        return MonthState.MISSING
    if held:
        return MonthState.HELD
    if not walked:
        return MonthState.UNKNOWN
    return MonthState.EMPTY if any(_overlaps(one, *month) for one in walked) else MonthState.NOT_WALKED


def _overlaps(interval: Interval, begin: datetime, end: datetime) -> bool:
    after = interval.since is None or interval.since < end
    return after and (interval.until is None or interval.until > begin)


def _between(first: datetime, now: datetime) -> list[datetime]:
    """The beginnings of the months from the one of `first` to that of `now`, the latest `MOST` of them."""
    first, now = first.astimezone(UTC), now.astimezone(UTC)
    last = now.year * 12 + now.month - 1
    begin = max(first.year * 12 + first.month - 1, last - MOST + 1)
    return [datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) for number in range(begin, last + 1)]
