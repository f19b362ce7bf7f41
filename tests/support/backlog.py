"""Something is missing, and connectors that mend it or fail to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pdpp_worker.connector import BatchScope, Context, DetailGap, DetailGapRecovered, Message, ResourceScope, Start
from pdpp_worker.recovery.sweep import sweep_transient
from tests.support.scripted import Scenario, record

TARGETED = {"supports_targeted_resource_fetch": True}
BOTH_FORMS = {**TARGETED, "scopes": ["resource", "batch"]}
CHANNEL = BatchScope(partition={"channel": "C1"})


def missing(*keys: str, reason: str = "rate_limited") -> list[Message]:
    """Misses of single items."""
    return [DetailGap(stream="items", record_key=key, reason=reason) for key in keys]


def healing(start: Start, _: Context) -> Iterator[Message]:
    """A connector that gets everything that it is asked for, and finds nothing new when it walks."""
    for gap in start.detail_gaps:
        key = gap.scope.resource_id if isinstance(gap.scope, ResourceScope) else "batch"
        yield record(key)
        yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=key)


def failing(start: Start, _: Context) -> Iterator[Message]:
    """A connector to which everything is refused."""
    for gap in start.detail_gaps:
        assert isinstance(gap.scope, ResourceScope)
        yield DetailGap(stream="items", record_key=gap.scope.resource_id, reason="rate_limited", gap_id=gap.gap_id)


def sweep(scenario: Scenario) -> list[dict[str, Any]]:
    """A transient sweep, and the runs that it starts."""
    sweep_transient(scenario.settings, scenario.db)
    return scenario.work()


def statuses(scenario: Scenario) -> dict[str, int]:
    """How many gaps have which status."""
    rows = scenario.rows("SELECT status, count(*) FROM gaps GROUP BY status")
    return {row["status"]: row["count"] for row in rows}
