"""Tables of connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pdpp_worker.cli.output import print_pairs, print_table
from pdpp_worker.cli.schedule_options import describe
from pdpp_worker.cli.times import due, local, relative
from pdpp_worker.coverage.waits import Wait
from pdpp_worker.pacing.intervals import Ceiling
from pdpp_worker.store.views.connection_views import ConnectionView


def document(view: ConnectionView, ceiling: Ceiling) -> dict[str, Any]:
    """A connection as JSON."""
    return {**asdict(view), "rate_ceiling": ceiling._asdict()}


def print_list(views: Iterable[ConnectionView]) -> None:
    """Print a line for each connection."""
    rows = [
        (view.name, view.connector, describe(view.every_s, view.cron, view.paused), next_run(view), last_run(view))
        for view in views
    ]
    print_table(("connection", "connector", "schedule", "next run", "last run"), rows)


def print_one(view: ConnectionView, ceiling: Ceiling) -> None:
    """Print everything about one connection."""
    interval = "unknown" if ceiling.min_interval_ms is None else f"{ceiling.min_interval_ms:g} ms between requests"
    rows: list[tuple[str, str]] = [
        ("connection", view.name),
        ("connector", view.connector),
        *([("account", view.account)] if view.account else []),
        *([("other account", f"{view.other_account}; see: pdpp-worker status")] if view.other_account else []),
        *((f"setting {name}", str(value)) for name, value in sorted(view.settings.items())),
        *((f"credential {name}", form) for name, form in view.credentials.items()),
        ("schedule", describe(view.every_s, view.cron, view.paused)),
        *([("schedule fails", view.schedule_error)] if view.schedule_error else []),
        ("next run", next_run(view)),
        ("rate ceiling", f"{interval} ({ceiling.source})"),
        ("added", local(view.created_at)),
        ("last run", last_run(view)),
    ]
    print_pairs(rows)


def next_run(view: ConnectionView, wait: Wait | None = None) -> str:
    """The next time of the schedule; `wait` is the one that is in force at the connection."""
    if view.paused or view.next_run_at is None:
        return "paused" if view.paused else "none"
    if wait is not None and view.next_run_at <= wait.until:
        return "after the wait"
    return due(view.next_run_at)


def last_run(view: ConnectionView) -> str:
    """The end of the last run, or the time since which it works or waits."""
    if view.last_run_status is None or view.last_run_at is None:
        return "none yet"
    if view.last_run_status == "running" and not view.last_run_leased:
        return f"waiting, begun {relative(view.last_run_at)}"
    refused = view.last_run_messages_refused
    told = f" ({refused:,} messages refused)" if refused else ""
    return f"{view.last_run_status.replace('_', ' ')}, {relative(view.last_run_at)}{told}"
