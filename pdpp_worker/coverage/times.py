"""Times and durations as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pdpp_worker.errors import ConfigurationError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+)([smhdw])")
_WORD = re.compile(r"(\d+)\s*(seconds?|sec|minutes?|min|hours?|days?|weeks?)\b", re.IGNORECASE)
_SOON_S = 600.0
_LONGEST_S = 100 * 365 * 86_400.0
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def parse_duration(text: str) -> float:
    """Seconds from `90s`, `15m`, `1h30m`, `1d`, `2w`, or in words: `15 minutes`, `1 hour 30 min`.

    Raises:
        ConfigurationError: the text is not a duration, is zero, or is longer than 100 years.
    """
    short = _WORD.sub(lambda match: match[1] + match[2][0].lower(), text)
    parts = _PART.findall(short)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != "".join(short.split()) or not 0 < seconds <= _LONGEST_S:
        raise ConfigurationError(
            f"{text!r} is not a duration; write it as 90s, 15m, 1h30m, 1d or 2w, 100 years at most."
        )
    return seconds


def duration(seconds: float) -> str:
    """A duration in its two largest units that say something: `4 min`, `1 h 30 min`, `2 d`."""
    rest, said = round(seconds), []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            said.append(f"{count} {unit}")
        elif said:
            break
    return " ".join(said[:2]) or "0 s"


def relative(at: datetime, now: datetime | None = None) -> str:
    """The distance of a time from now, in its largest unit: `in 4 min`, `3 h ago`, `now`."""
    seconds = round((at - (now or datetime.now(UTC))).total_seconds())
    size, unit = next((each for each in _UNITS if abs(seconds) >= each[0]), (1, "s"))
    distance = f"{abs(seconds) // size} {unit}"
    if seconds == 0:
        return "now"
    return f"in {distance}" if seconds > 0 else f"{distance} ago"


def due(at: datetime, now: datetime | None = None) -> str:
    """The distance of a time that something waits for; an overdue one is `now`."""
    now = now or datetime.now(UTC)
    return relative(max(at, now), now)


def local(at: datetime, now: datetime | None = None) -> str:
    """A time on the owner's clock, and how far it is from now."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S} ({relative(at, now)})"


def clock(at: datetime, now: datetime | None = None) -> str:
    """A time on the owner's clock: `20:30`, with seconds within ten minutes, with its day if that is another one."""
    now = now or datetime.now(UTC)
    here = at.astimezone()
    if abs((at - now).total_seconds()) < _SOON_S:
        return f"{here:%H:%M:%S}"
    return f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
