"""Tables of connections."""

from __future__ import annotations

from collections.abc import Iterable

from pdpp_worker.cli.output import print_pairs, print_table
from pdpp_worker.coverage.phrases import last_run, next_run, schedule
from pdpp_worker.coverage.times import local
from pdpp_worker.pacing.intervals import Ceiling
from pdpp_worker.store.views.connection_views import ConnectionView


def print_list(views: Iterable[ConnectionView]) -> None:
    """Print a line for each connection."""
    rows = [
        (view.name, view.connector, schedule(view.every_s, view.cron, view.paused), next_run(view), last_run(view))
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
        ("schedule", schedule(view.every_s, view.cron, view.paused)),
        *([("schedule fails", view.schedule_error)] if view.schedule_error else []),
        ("next run", next_run(view)),
        ("rate ceiling", f"{interval} ({ceiling.source})"),
        ("added", local(view.created_at)),
        ("last run", last_run(view)),
    ]
    print_pairs(rows)
