"""Readers of JSON values: each takes any value, and returns the declared type or None (or empty)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


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


def iso_utc(moment: datetime) -> str:
    """A time with a zone as ISO 8601 UTC with milliseconds and `Z`.

    Raises:
        OverflowError: it is before the year 1 or after 9999 in UTC.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
