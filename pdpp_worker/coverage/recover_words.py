"""Sentences about retrying gaps now: the time it will take, or why nobody does."""

from __future__ import annotations

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.phrases import end, waiting
from pdpp_worker.coverage.times import clock, duration
from pdpp_worker.store.gaps.due import GapSummary
from pdpp_worker.store.views.run_views import RunCost


def cost_before(outlook: Outlook, held: GapSummary) -> str:
    """State the cost of fetching gaps before a run is queued for them."""
    due = held.missing - held.by_upgrade
    waits = f" {held.by_upgrade:,} more wait for another version of the connector." if held.by_upgrade else ""
    return f"{counted(due)} of {outlook.view.name}: {_takes(outlook, held, due)}.{waits}"


def _takes(outlook: Outlook, held: GapSummary, gaps: int) -> str:
    interval = outlook.recovery_interval_ms
    if held.items < held.missing:
        return "nobody can tell what that takes, since not all are about one item each"
    if interval is None:
        return "nobody can tell what that takes, since no rate was learned yet"
    return f"about {duration(max(1.0, gaps * interval / 1000))}"


def counted(gaps: int) -> str:
    """A number of gaps in words."""
    return "1 gap" if gaps == 1 else f"{gaps:,} gaps"


def cost_of_run(outlook: Outlook, cost: RunCost, *, single_items: bool) -> str:
    """State the expected cost of a run that retries gaps, and when it will be done."""
    expected, wait = outlook.expected_of_run(cost, single_items=single_items), outlook.wait
    takes = duration(max(1.0, expected.cost.total_seconds()))
    done = end(expected.done_at, expected.spread.total_seconds())
    waits = f"; {waiting(wait.until, wait.reason)}" if wait else ""
    return f"{outlook.view.name}: {expected.items:,} pending, about {takes}, {done}{waits}"


def why_not(outlook: Outlook, held: GapSummary, *, chosen: bool) -> str:
    """Say why no run was started for the gaps that were asked for; `chosen`: whether that was a part of them."""
    name, connector = outlook.view.name, outlook.view.connector
    that = "that you asked for " if chosen else ""
    if not held.missing and held.closed_without_item:
        return (
            f"Nothing {that}is missing of {name}, but for {held.closed_without_item:,} that you waived or that do not "
            f"exist at the provider; ask for them after all with: pdpp-worker gaps reopen {name}"
        )
    if not held.missing:
        return f"Nothing {that}is known to be missing of {name}."
    if held.by_upgrade == held.missing:
        return (
            f"All that is missing of {name} ({held.missing:,}) waits for another version of the connector "
            f"{connector}; see: pdpp-worker coverage {name}"
        )
    if held.active_run_id is not None:
        waits = f" and {waiting(outlook.wait.until, outlook.wait.reason)}" if outlook.wait else ""
        return (
            f"Run {held.active_run_id} of {name} is active{waits}; what you asked for is tried by it or by the next "
            f"one; see: pdpp-worker runs show {held.active_run_id}"
        )
    if held.cooldown_until is not None:
        return f"The provider of {name} wants a pause until {clock(held.cooldown_until)}; ask again then."
    lacks = "is not installed" if outlook.manifest is None else "does not know its streams"
    return f"Nobody can retry what is missing of {name}: the connector {connector} {lacks}."
