"""The interval over time, one curve a policy, as an SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

Trace = Sequence[tuple[float, float, bool]]
"""(instant, gap to the send before, refused) of every send, s."""

WIDTH, ROW = 960, 130
LEFT, RIGHT, TOP = 120, 20, 34
SHORTEST_S, LONGEST_S = 0.2, 60.0


def draw(title: str, traces: Mapping[str, Trace], true_interval_s: Sequence[tuple[float, float]]) -> str:
    """One row a policy: its gaps as dots on a logarithmic scale, refusals in red, the provider's interval as a line."""
    first = min(trace[0][0] for trace in traces.values())
    last = max(trace[-1][0] for trace in traces.values())
    height = TOP + ROW * len(traces) + 24
    size = f'width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect {size} fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]

    def x(at: float) -> float:
        return LEFT + (at - first) / max(last - first, 1) * (WIDTH - LEFT - RIGHT)

    for row, (name, trace) in enumerate(traces.items()):
        parts += _row(name, trace, true_interval_s, x, TOP + ROW * row)
    parts.append(f'<text x="{LEFT}" y="{height - 6}">0</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{height - 6}" text-anchor="end">{(last - first) / 3600:.1f} h</text>')
    return "\n".join([*parts, "</svg>"])


def _row(
    name: str, trace: Trace, truth: Sequence[tuple[float, float]], x: Callable[[float], float], top: int
) -> list[str]:
    refused = sum(one[2] for one in trace)
    parts = [
        f'<text x="4" y="{top + 14}">{escape(name)}</text>',
        f'<text x="4" y="{top + 28}" fill="#c00">{refused} refused</text>',
    ]
    for gap in (0.25, 1, 10):
        level = _y(gap, top)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{level + 4:.1f}" text-anchor="end">{gap:g} s</text>')
    line = " ".join(f"{x(at):.1f},{_y(gap, top):.1f}" for at, gap in truth)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#888" stroke-dasharray="4 3"/>')
    for colour, which in (("#36c", False), ("#c00", True)):
        places = {(round(x(at)), round(_y(gap, top))) for at, gap, bad in trace if bad == which}
        dots = "".join(f"M{across} {down}h2" for across, down in sorted(places))
        parts.append(f'<path d="{dots}" stroke="{colour}" stroke-width="2" fill="none"/>')
    return parts


def _y(gap: float, top: int) -> float:
    share = math.log(min(max(gap, SHORTEST_S), LONGEST_S) / SHORTEST_S) / math.log(LONGEST_S / SHORTEST_S)
    return top + ROW - 14 - share * (ROW - 24)
