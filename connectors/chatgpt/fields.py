"""Readers of single values: each takes whatever JSON holds and gives the declared type or None."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from pdpp_worker.connector.json_fields import iso_utc

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\d{9,16}(?:\.\d*)?", re.ASCII)
_IN_MILLISECONDS = 1e11
"""From here on a number counts milliseconds: as seconds it would be a year after 5000."""
_UNITS_MS = (86_400_000, 3_600_000, 60_000, 1000)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


def identity(value: Any) -> str | None:
    """An id that is safe in a URL path and as a key: 1 to 128 characters, no whitespace, no dot in front."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def moment(value: Any) -> datetime | None:
    """A time given as Unix seconds (or milliseconds), as a number or as text, or as ISO 8601 text; not positive, or not
    a time, is unknown."""
    try:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found = datetime.fromtimestamp(value if value < _IN_MILLISECONDS else value / 1000, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found > _EPOCH else None


def iso(value: Any) -> str | None:
    """The same time as ISO 8601 UTC with milliseconds and `Z`."""
    found = moment(value)
    return iso_utc(found) if found else None


def millis(value: Any) -> int | None:
    """The same time as whole milliseconds since 1970."""
    found = moment(value)
    return (found - _EPOCH) // timedelta(milliseconds=1) if found else None


def unit_of(time: int | None) -> int:
    """The coarsest unit in which a time may be told, both in milliseconds: a day, hour, minute or second, or 0."""
    return next((unit for unit in _UNITS_MS if time is not None and time % unit == 0), 0)
