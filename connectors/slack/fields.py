"""Readers of single values: each takes whatever JSON holds and gives the declared type or None."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from pdpp_worker.connector import is_crowded

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TS = re.compile(r"(\d{1,12})\.(\d{1,6})")
_USUAL_TS = len("1767225600.000000")
_MAX_INTEGER = 2**53
_MINUTE = 60_000_000
_UP_TO_SECONDS = len("2026-01-01T00:00:")


def decoded(data: bytes) -> Any:
    """The JSON value, half surrogate pairs, NaN and long integers included; None where it is none, or too much."""
    if is_crowded(data):
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None


def text(value: Any) -> str | None:
    """The string, unless it is empty: the archive writes an empty one for what is not there."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """The whole number; one that was written with a point counts too."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_INTEGER
    return value if fits else None


def strings(value: Any) -> list[str]:
    """The strings of an array, in order."""
    return [part for part in value if isinstance(part, str) and part] if value and isinstance(value, list) else []


def micros(ts: Any) -> int | None:
    """A message's `ts` (seconds, a dot, up to six digits) as whole microseconds since 1970; never through a float."""
    return _micros(ts) if isinstance(ts, str) else None


@lru_cache(maxsize=8)  # the row of a message and its record ask for the same time
def _micros(ts: str) -> int | None:
    if len(ts) == _USUAL_TS and ts.isascii() and ts[-7] == "." and (digits := ts[:-7] + ts[-6:]).isdigit():
        return int(digits)
    found = _TS.fullmatch(ts)
    return int(found[1]) * 1_000_000 + int(found[2].ljust(6, "0")) if found else None


def ts_of(value: int) -> str:
    """Microseconds since 1970 as the platform writes them."""
    return f"{value // 1_000_000}.{value % 1_000_000:06}"


def iso(microseconds: int | None) -> str | None:
    """A time (microseconds since 1970) as ISO 8601 UTC with milliseconds and `Z`; not positive is unknown."""
    if microseconds is None or microseconds <= 0:
        return None
    minute, rest = divmod(microseconds, _MINUTE)
    begun = _iso_minute(minute)
    return begun and f"{begun}{rest // 1_000_000:02}.{rest // 1000 % 1000:03}Z"


@lru_cache(maxsize=64)  # messages come in the order in which they were sent
def _iso_minute(minute: int) -> str | None:
    """The beginning of a time, up to its seconds; `minute` counts since 1970."""
    try:
        return (_EPOCH + timedelta(minutes=minute)).isoformat()[:_UP_TO_SECONDS]
    except OverflowError:
        return None


def iso_of_seconds(value: Any) -> str | None:
    """The same for Unix seconds."""
    seconds = integer(value)
    return None if seconds is None else iso(seconds * 1_000_000)
