"""When it is worth going on after a run, without what, and with which budget; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pdpp_worker import clock
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.store.run_status import StreamResult
from pdpp_worker.store.stream_counts import StreamCounts

BUDGET_MARGIN = 1.25
"""Factor on a budget that was extrapolated from progress."""
MAX_BUDGET_S = 86_400.0
"""Largest budget that a run is given automatically, s."""


def needed_budget_s(spent_s: float, streams: Collection[StreamCounts]) -> float:
    """The working time, s, that a run needs whose budget was too small: by its progress, and at least twice as much."""
    told = [(one.progress_count, one.progress_total) for one in streams if one.progress_count and one.progress_total]
    done, total = (sum(numbers) for numbers in zip(*told, strict=True)) if told else (1, 1)
    return min(MAX_BUDGET_S, spent_s * max(2.0, BUDGET_MARGIN * total / done))


def too_short(spent_s: float, needed_s: float) -> str:
    """The error of a run whose budget was too small."""
    return (
        f"{spent_s:,.0f} s were not enough for a connector that keeps its place only at its end: "
        f"its next run gets {needed_s:,.0f} s"
    )


def retry_hint(
    results: Collection[StreamResult],
    failed_partitions: Sequence[dict[str, Any]],
    *,
    out_of_budget: bool,
    needed_s: float | None,
) -> dict[str, Any] | None:
    """When it is worth going on, without what, and why; None when time alone fixes nothing."""
    counts = [one.counts for one in results]
    times: list[datetime] = [one.next_attempt_at for one in counts if one.next_attempt_at is not None]
    reasons = {reason for one in counts for reason in one.skipped_by_reason}
    if out_of_budget and any(not one.finished or one.unreached for one in results):
        times.append(clock.now())
        reasons.add(Reason.RUN_BUDGET_DEFERRED.value)
    if not times:
        return None
    known = [one.missing for one in results if one.missing is not None]
    return {
        "not_before": min(times).isoformat(),
        "exclude": list(failed_partitions),
        "remaining_estimate": sum(known) if len(known) == len(results) else None,
        "why": ", ".join(sorted(reasons)),
        **({"budget_s": needed_s} if needed_s is not None else {}),
    }
