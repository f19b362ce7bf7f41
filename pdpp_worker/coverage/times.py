"""Times and durations as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_SOON_S = 600.0
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


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


def zoned(at: datetime, zone: str | None = None, now: datetime | None = None) -> str:
    """A time on the clock of a zone that it names, and how far it is from now; no zone: the owner's clock."""
    here = at.astimezone(ZoneInfo(zone) if zone else None)
    return f"{here:%Y-%m-%d %H:%M:%S} {zone or f'{here:%Z}'} ({relative(at, now)})"


def clock(at: datetime, now: datetime | None = None) -> str:
    """A time on the owner's clock: `20:30`, with seconds within ten minutes, with its day if that is another one."""
    now = now or datetime.now(UTC)
    here = at.astimezone()
    if abs((at - now).total_seconds()) < _SOON_S:
        return f"{here:%H:%M:%S}"
    return f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
