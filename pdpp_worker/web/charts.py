"""Figures of charts: where each part of a bar begins and how wide it is. Templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

LEAST = 0.5
"""The least width of a part that is not zero, in hundredths of the bar: what is there can be seen."""


class Segment(NamedTuple):
    """A part of a stacked bar: begin and width in hundredths of the bar; `kind` numbers its colour."""

    name: str
    items: int
    begin: float
    width: float
    kind: int


def stacked(parts: Mapping[str, int]) -> list[Segment]:
    """The parts of a stacked bar in their order, those that are zero left out."""
    present = [(kind, name, count) for kind, (name, count) in enumerate(parts.items()) if count > 0]
    total = sum(count for _, _, count in present)
    widths = [max(LEAST, 100 * count / total) for _, _, count in present]
    scale = 100 / sum(widths, 0.0) if widths else 1.0
    found, begin = [], 0.0
    for (kind, name, count), width in zip(present, widths, strict=True):
        found.append(Segment(name, count, round(begin, 2), round(width * scale, 2), kind))
        begin += width * scale
    return found


class Line(NamedTuple):
    """A line in a picture of `WIDTH` by `HEIGHT`, as the points of an SVG polyline; `top` is the value at its top."""

    points: str
    top: float


class Bar(NamedTuple):
    """A bar or a mark on a clock of `WIDTH`: where it begins, how wide it is, its class and its title."""

    begin: float
    width: float
    kind: str
    title: str


WIDTH, HEIGHT = 600, 120
TICKS = 5
LEAST_LINE = 2.0
"""Half of the least length of a line."""
LEAST_BAR = 0.6
"""The least width of a bar: the shortest slice can be seen."""


def across(at: datetime, since: datetime, until: datetime) -> float:
    """The place of a time on the axis."""
    return round(WIDTH * ((at - since) / (until - since)), 1)


def ticks(since: datetime, until: datetime) -> list[str]:
    """The words of a time axis, at even distances from its begin to its end, on the owner's clock."""
    if until - since > timedelta(days=3):
        form = "%Y-%m-%d"
    else:
        form = "%H:%M" if since.astimezone().date() == until.astimezone().date() else "%m-%d %H:%M"
    step = (until - since) / (TICKS - 1)
    return [f"{(since + number * step).astimezone():{form}}" for number in range(TICKS)]


def line(values: Sequence[tuple[float, float]], top: float) -> Line:
    """A line through values, (place, value) each; zero is at the bottom. One value alone is a short line."""
    if len(values) == 1:
        [(place, value)] = values
        values = [(place - LEAST_LINE, value), (place + LEAST_LINE, value)]
    scale = HEIGHT / top if top > 0 else 0.0
    return Line(" ".join(f"{place:g},{round(HEIGHT - min(value, top) * scale, 1):g}" for place, value in values), top)
