"""Reads the position that versions before 1.2 kept: they trusted that the list is sorted, newest first.

`floor`: everything older was handled, and the ids that it names at its very time. While a pass was under way, also what
is newer than `mark`, up to `top`.
"""

from __future__ import annotations

from typing import Any

from connectors.chatgpt.known import Item
from pdpp_worker.connector.json_fields import strings, table


def was_handled(position: Any, item: Item) -> bool:
    """Whether an item, by its time, was handled before the position was kept; never where there is no position."""
    if item.time is None or not isinstance(position, dict):
        return False
    floor, top, mark = (table(position.get(name)) for name in ("floor", "top", "mark"))
    if _names(floor, item) or item.time < floor.get("time", item.time):
        return True
    return _names(mark, item) or bool(top and mark and mark["time"] < item.time <= top["time"])


def _names(boundary: dict[str, Any], item: Item) -> bool:
    return boundary.get("time") == item.time and item.id in strings(boundary.get("ids"))
