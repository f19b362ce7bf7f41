"""What going back for gaps is expected to take, stated before it begins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings
from pdpp_worker.store import backlog, rates
from pdpp_worker.store.backlog import Selection
from pdpp_worker.store.connections import ConnectionRow


def state_cost(
    settings: Settings,
    connection: Connection,
    row: ConnectionRow,
    manifest: Manifest,
    selection: Selection,
    most: int | None = None,
) -> dict[str, Any]:
    """Due items, at `most` so many, times the learned interval.

    Returns `items`, `interval_ms`, `seconds`, and whether the interval is `learned`; where nothing was, it is
    that of a cold start, under the owner's ceiling.
    """
    due = backlog.count_due(connection, row.id, selection)
    items = due if most is None else min(due, most)
    held = rates.load(connection, row.id)
    learned = held.state.get("interval_ms") if held is not None else None
    ceiling = row.min_interval_ms or settings.pacing_min_interval_ms(manifest.name, manifest.pacing.min_interval_ms)
    interval = max(learned or settings.pacing_cold_start_ms, ceiling, manifest.recovery.min_interval_ms)
    return {
        "items": items,
        "interval_ms": round(interval, 1),
        "seconds": round(items * interval / 1000, 1),
        "learned": learned is not None,
    }
