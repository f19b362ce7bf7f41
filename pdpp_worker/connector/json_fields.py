"""Readers of JSON values: each takes any value, and returns the declared type or None (or empty)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

_NOTHING: tuple[Any, ...] = (None, "", [], {})
_WITHOUT_ZONE = len("2026-01-01T00:00:00.000")


def text(value: Any) -> str | None:
    """The string as it came."""
    return value if isinstance(value, str) else None


def flag(value: Any) -> bool | None:
    """The boolean as it came."""
    return value if isinstance(value, bool) else None


def table(value: Any) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def array(value: Any) -> list[Any]:
    """The array, or an empty one."""
    return value if isinstance(value, list) else []


def strings(value: Any) -> list[str]:
    """The strings of an array, in order."""
    return [part for part in array(value) if isinstance(part, str)]


def tables(value: Any) -> list[dict[str, Any]]:
    """The objects of an array, in order."""
    return [part for part in array(value) if isinstance(part, dict)]


def rest_of(item: Mapping[str, Any], held: Collection[str]) -> dict[str, Any]:
    """The fields of an object beside those that are `held`, as they came: what a record keeps as its `extra`.

    A null, an empty text, list or object says nothing, and is left out.
    """
    rest = {}
    for name, value in item.items():
        if name not in held and (value or value not in _NOTHING):
            rest[name] = value  # noqa: PERF403 - a comprehension is a call more
    return rest


def iso_utc(moment: datetime) -> str:
    """A time with a zone as ISO 8601 UTC with milliseconds and `Z`.

    Raises:
        OverflowError: it is before the year 1 or after 9999 in UTC.
    """
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds")[:_WITHOUT_ZONE] + "Z"
