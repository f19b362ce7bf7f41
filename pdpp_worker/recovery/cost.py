"""Expected cost of retrying gaps, stated before it begins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from pdpp_worker.pacing.forecast import cost_of
from pdpp_worker.pacing.intervals import ceiling, cold_start_ms, recovery_interval_ms
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings
from pdpp_worker.store import rates
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.gaps import due as due_gaps
from pdpp_worker.store.gaps.selection import GapFilter


def state_cost(
    settings: Settings,
    connection: Connection,
    row: ConnectionRow,
    manifest: Manifest,
    selection: GapFilter,
    most: int | None = None,
) -> dict[str, Any]:
    """Due items, at `most` so many, times the interval at which gaps are asked for.

    Returns `items`, `interval_ms`, `seconds`, and whether the interval is `learned`; where nothing was, it is that of a
    cold start.
    """
    due = due_gaps.count_due(connection, row.id, selection)
    items = due.items if most is None else min(due.items, most)
    rate = rates.load(connection, row.id)
    learned = rate.state.get("interval_ms") if rate is not None else None
    ceiling_ms = ceiling(settings, manifest.name, manifest, row.min_interval_ms).min_interval_ms
    interval = recovery_interval_ms(learned or cold_start_ms(settings, manifest), ceiling_ms, manifest)
    return {
        "items": items,
        "interval_ms": round(interval, 1),
        "seconds": round(cost_of(items, interval).total_seconds(), 1),
        "learned": learned is not None,
    }
