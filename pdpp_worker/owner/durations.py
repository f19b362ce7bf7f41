"""Durations as owners write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from pdpp_worker.errors import ConfigurationError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+)([smhdw])")
_WORD = re.compile(r"(\d+)\s*(seconds?|sec|minutes?|min|hours?|days?|weeks?)\b", re.IGNORECASE)
_LONGEST_S = 100 * 365 * 86_400.0
_MOST_CHARACTERS = 100
"""A longer text is no duration; to look for one in it would take the square of its length."""
_FORMS = "write it as 90s, 15m, 15 minutes, 1h30m, 1d or 2w, 100 years at most."


def parse_duration(text: str) -> float:
    """Seconds from `90s`, `15m`, `1h30m`, `1d`, `2w`, or in words: `15 minutes`, `1 hour 30 min`.

    Raises:
        ConfigurationError: the text is not a duration, is zero, or is longer than 100 years.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ConfigurationError(f"A text of {len(text):,} characters is not a duration; {_FORMS}")
    short = _WORD.sub(lambda match: match[1] + match[2][0].lower(), text)
    parts = _PART.findall(short)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != "".join(short.split()) or not 0 < seconds <= _LONGEST_S:
        raise ConfigurationError(f"{text!r} is not a duration; {_FORMS}")
    return seconds


def written_duration(seconds: float) -> str:
    """A duration as `parse_duration` reads it: `1h30m`; whole seconds, one at least."""
    rest, parts = max(1, round(seconds)), ""
    for unit in "dhms":
        count, rest = divmod(rest, _SECONDS[unit])
        parts += f"{count}{unit}" if count else ""
    return parts


def parse_moment(text: str, now: datetime) -> datetime:
    """The beginning of a day on the owner's clock (`2026-01-31`), or the moment so long before `now` (`7d`).

    Raises:
        ConfigurationError: the text is neither.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").astimezone()
    except ValueError:
        pass
    try:
        return now - timedelta(seconds=parse_duration(text))
    except (ConfigurationError, OverflowError):
        shown = repr(text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…")
        raise ConfigurationError(f"{shown} is no day and no duration; write it as 2026-01-31, 1h or 7d.") from None
