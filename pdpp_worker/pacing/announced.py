"""The limits that an answer announces in its headers, in every form that is in use. Unreadable ones are left out.

`RateLimit` and `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers has them (a structured list since version 8,
a dictionary in version 7), the three fields of its earlier versions, and their forebears `X-RateLimit-*` and
`X-Rate-Limit-*`, whose resets are seconds, an instant of the epoch in seconds or milliseconds, or a date in ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import zip_longest

import httpx

_FAMILIES = ("ratelimit", "x-ratelimit", "x-rate-limit")
_UNITS = ("", "-requests", "-second", "-minute", "-hour", "-day", "-month")
"""Ends of the three fields' names that speak of requests; others count tokens or bytes."""
_LONGEST_S = 370 * 86_400.0
"""No window is longer than a year."""
_EPOCH_S, _EPOCH_MS = 1e9, 1e11
"""From here on a number is an instant: no window has so many seconds."""
_MOST = 10**9
_LONGEST_FIELD = 2000
"""Characters; an honest one has fewer than two hundred."""

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^",;]++|[,;]')
"""A quoted string, a run of plain text, or a separator; never looked at twice, however long."""
_POLICY = re.compile(r"\d+")

Fields = dict[str, str]
"""Lower-case names of the headers that speak of limits, and their values."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One limit, as an answer announces it."""

    remaining: int
    """Requests left until the reset."""
    reset_s: float
    """Seconds from the answer until the window begins anew."""
    limit: int | None = None
    """Requests a window."""
    window_s: float | None = None
    """The window's length, where told."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An element of a structured list (RFC 8941): its value, unquoted, and its parameters."""

    value: str
    parameters: dict[str, str]


def announced(headers: httpx.Headers, now: datetime) -> list[Announced]:
    """Every limit that the headers tell of, each once; `now` is the time of the answer."""
    fields = _fields(headers)
    if not fields:
        return []
    clock, policies = _clock(headers, now), _items(fields.get("ratelimit-policy", ""))
    found = [*_structured(fields, policies), *_dictionary(fields, policies)]
    for family in _FAMILIES:
        for unit in _UNITS:
            found += _three(fields, family, unit, policies, clock)
    return list(dict.fromkeys(found))


def is_used_up(headers: httpx.Headers, now: datetime) -> bool:
    """Whether a limit that the headers tell of has nothing left, with or without a word on when it begins anew."""
    bare = (value for name, value in _fields(headers).items() if name.endswith("-remaining"))
    return any(_count(value.strip()) == 0 for value in bare) or any(
        one.remaining == 0 for one in announced(headers, now)
    )


def reset_alone(headers: httpx.Headers, now: datetime) -> float | None:
    """The seconds to a reset that comes without a word on what remains, as some refusals have it."""
    fields, clock = _fields(headers), _clock(headers, now)
    names = (f"{family}-reset{end}" for family in _FAMILIES for end in ("-after", ""))
    found = (_reset_s(fields.get(name), clock) for name in names)
    return next((reset for reset in found if reset is not None), None)


def _fields(headers: httpx.Headers) -> Fields:
    return {
        name: value for name, value in headers.items() if name.startswith(_FAMILIES) and len(value) <= _LONGEST_FIELD
    }


def _structured(fields: Fields, policies: list[_Item]) -> Iterator[Announced]:
    """`RateLimit: "name";r=50;t=30`, and what `RateLimit-Policy: "name";q=100;w=60` says of the same name."""
    by_name = {one.value: one.parameters for one in policies}
    for item in _items(fields.get("ratelimit", "")):
        policy = by_name.get(item.value, {})
        remaining, window_s = _count(item.parameters.get("r")), _seconds(policy.get("w"))
        told = _seconds(item.parameters.get("t"))
        reset_s = window_s if told is None else told
        if remaining is None or reset_s is None or policy.get("qu", "requests") != "requests":
            continue
        yield Announced(remaining, reset_s, _count(policy.get("q")), window_s)


def _dictionary(fields: Fields, policies: list[_Item]) -> Iterator[Announced]:
    """`RateLimit: limit=100, remaining=50, reset=30`."""
    pairs = (item.value.partition("=") for item in _items(fields.get("ratelimit", "")))
    told = {name.strip().lower(): value for name, _, value in pairs}
    remaining, reset_s = _count(told.get("remaining")), _seconds(told.get("reset"))
    if remaining is not None and reset_s is not None:
        limit = _count(told.get("limit"))
        yield Announced(remaining, reset_s, limit, _window_of(limit, policies))


def _three(fields: Fields, family: str, unit: str, policies: list[_Item], clock: datetime) -> Iterator[Announced]:
    """`RateLimit-Limit`, `-Remaining` and `-Reset`, each a number, or a list with one for each limit."""
    remaining = fields.get(f"{family}-remaining{unit}", "").split(",")
    resets = fields.get(f"{family}-reset-after{unit}", fields.get(f"{family}-reset{unit}", "")).split(",")
    limits = _items(fields.get(f"{family}-limit{unit}", ""))
    policies = [*policies, *_items(fields.get(f"{family}-policy", "")), *limits]
    for left, reset, limit in zip_longest(remaining, resets, limits[: len(remaining)]):
        count, reset_s = _count(left), _reset_s(reset, clock)
        if count is not None and reset_s is not None:
            size = None if limit is None else _count(limit.value)
            yield Announced(count, reset_s, size, _window_of(size, policies))


def _window_of(limit: int | None, policies: list[_Item]) -> float | None:
    """The window of the policy `100;w=60` that has this limit."""
    windows = (_seconds(one.parameters.get("w")) for one in policies if _POLICY.fullmatch(one.value))
    sizes = (_count(one.value) for one in policies if _POLICY.fullmatch(one.value))
    return next((window for size, window in zip(sizes, windows, strict=True) if size == limit and window), None)


def _items(text: str) -> list[_Item]:
    found = []
    for element in _split(text, ","):
        value, *parts = _split(element, ";")
        pairs = (part.partition("=") for part in parts)
        parameters = {name.strip().lower(): told.strip().strip('"') for name, _, told in pairs}
        if value:
            found.append(_Item(value.strip('"'), parameters))
    return found


def _split(text: str, separator: str) -> list[str]:
    """The parts between the separators that stand in no quotes."""
    parts = [""]
    for token in _TOKEN.findall(text):
        if token == separator:
            parts.append("")
        else:
            parts[-1] += token
    return [part.strip() for part in parts]


def _count(text: str | None) -> int | None:
    """A number of requests; some providers write it with a fraction."""
    if text is None or not _NUMBER.fullmatch(text.strip()):
        return None
    return int(count) if (count := float(text)) <= _MOST else None


def _seconds(text: str | None) -> float | None:
    if text is None or not _NUMBER.fullmatch(text.strip()):
        return None
    return seconds if (seconds := float(text)) <= _LONGEST_S else None


def _reset_s(text: str | None, clock: datetime) -> float | None:
    """Seconds from the provider's time until a reset, whichever way it is told; one that is past is now."""
    told = (text or "").strip()
    if _NUMBER.fullmatch(told):
        number = float(told)
        if number < _EPOCH_S:
            return _seconds(told)
        instant = number / 1000 if number >= _EPOCH_MS else number
    else:
        try:
            due = datetime.fromisoformat(told)
            instant = (due if due.tzinfo else due.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    left = instant - clock.timestamp()
    return max(0.0, left) if left <= _LONGEST_S else None


def _clock(headers: httpx.Headers, now: datetime) -> datetime:
    """The time at the provider, by whose clock its instants count; ours, where an answer may have been stored."""
    if "age" in headers:
        return now
    try:
        told = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, OverflowError):
        return now
    return told if told.tzinfo else told.replace(tzinfo=UTC)
