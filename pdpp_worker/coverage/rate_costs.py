"""The cost of another rate ceiling: the time that pending work takes with it, beside the time that it takes now."""

from __future__ import annotations

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.rate_rows import RateView
from pdpp_worker.coverage.times import duration
from pdpp_worker.pacing.forecast import cost_of
from pdpp_worker.pacing.intervals import recovery_interval_ms


def told(outlook: Outlook, rate: RateView, ceiling_ms: float | None) -> str:
    """The cost of a ceiling, ms between two requests, in a sentence; None: there is no ceiling."""
    learned, now_ms = outlook.waits.interval_ms, outlook.recovery_interval_ms
    if learned is None or now_ms is None or not rate.pending:
        return "Nobody can tell what that costs: no rate was learned yet, or nothing is pending."
    then_ms = recovery_interval_ms(learned, ceiling_ms, outlook.manifest)
    then, now = (duration(cost_of(rate.pending, interval).total_seconds()) for interval in (then_ms, now_ms))
    return f"What is missing takes {then} instead of {now}."
