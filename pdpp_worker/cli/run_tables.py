"""Tables of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pdpp_worker.cli.output import fitting, print_pairs, print_table, say
from pdpp_worker.coverage import run_words as words
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.phrases import counts, number
from pdpp_worker.coverage.times import local
from pdpp_worker.store.views.run_views import RunStreamView, RunView


def print_list(views: Sequence[RunView], outlooks: Mapping[str, Outlook]) -> None:
    """Print a line for each run, then what keeps active ones from going on."""
    rows = [
        (
            str(view.id),
            view.connection,
            "full" if view.mode == "full_refresh" else view.kind,
            view.trigger,
            words.status(view),
            f"{view.records_flushed:,}",
            f"{view.records_unchanged:,}",
            words.missing_count(view),
            words.started(view),
            words.length(view),
        )
        for view in views
    ]
    columns = ("run", "connection", "kind", "trigger", "status", "new", "unchanged", "missing", "started", "took")
    shown, cells = fitting(columns, rows, leave_out=("took", "unchanged", "trigger", "kind"))
    print_table(shown, cells, right=("run", "new", "unchanged", "missing"), whole=("kind", "trigger", "took"))
    for view in views:
        if kept := words.kept_by(view, outlooks[view.connection]):
            say(f"run {view.id} of {view.connection}: {kept}")


def print_one(view: RunView, streams: Sequence[RunStreamView], outlook: Outlook) -> None:
    """Print everything about one run."""
    rows = [
        ("run", f"{view.id} of {view.connection} ({view.connector} {view.connector_version})"),
        ("what", f"{view.kind}, {view.mode}, started by {view.trigger}"),
        ("status", "; ".join(part for part in (words.status(view), words.kept_by(view, outlook)) if part)),
        ("queued", local(view.created_at)),
        ("started", local(view.started_at) if view.started_at else "not yet"),
        ("ended", local(view.ended_at) if view.ended_at else "not yet"),
        ("slices", str(view.slices)),
        ("records", f"{view.records_durable:,} kept ({words.kept(view)}); {view.records_rejected:,} refused"),
        ("missing", words.missing(view) + words.retry(view, outlook)),
        *([("messages", f"refused {counts(view.messages_refused)}")] if view.messages_refused else []),
        *([("gaps", words.retried(view))] if view.gaps_tried else []),
        ("checkpoints", f"{view.checkpoints_committed} of {view.checkpoints_staged} committed"),
    ]
    print_pairs(rows + ([("error", view.error)] if view.error else []))
    if streams:
        say("")
        _print_counts(streams)
        _print_remarks(streams)


def _print_counts(streams: Iterable[RunStreamView]) -> None:
    columns = ("stream", "considered", "flushed", "unchanged", "refused", "skipped", "unreached", "missing", "cursor")
    rows = [
        (
            one.stream,
            number(one.considered) if one.state != "walking" else "",
            f"{one.records_flushed:,}",
            f"{one.records_unchanged:,}",
            f"{one.records_rejected:,}",
            f"{one.skipped:,}" if one.state != "walking" else "",
            f"{one.unreached:,}" if one.state != "walking" else "",
            number(one.records_missing_estimate) if one.state != "walking" else "",
            f"{one.checkpoints_committed}/{one.checkpoints_staged}",
        )
        for one in streams
    ]
    nothing = [name for place, name in enumerate(columns) if all(row[place] == "0" for row in rows)]
    shown, cells = fitting(columns, rows, leave_out=(*nothing, "cursor", "missing"))
    print_table(shown, cells, right=columns[1:], whole=columns[:1])


def _print_remarks(streams: Iterable[RunStreamView]) -> None:
    for one in streams:
        if one.skipped_by_reason:
            say(f"{one.stream}: skipped {counts(one.skipped_by_reason)}")
        if one.error and one.error not in one.skipped_by_reason:
            say(f"{one.stream}: {one.error}")
