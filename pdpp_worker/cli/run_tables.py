"""Tables of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pdpp_worker.cli.output import counts, number, print_pairs, print_table, say
from pdpp_worker.cli.phrases import obstacles
from pdpp_worker.cli.times import due, duration, local, relative
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.waits import after_wait
from pdpp_worker.protocol.reasons import NEEDS_OWNER, known_reason
from pdpp_worker.store.views.run_views import RunStreamView, RunView


def summary(view: RunView, outlook: Outlook) -> str:
    """The end of a run in one sentence."""
    words = f"Run {view.id} of {view.connection} {view.status.replace('_', ' ')}: {_kept(view)}"
    words += f", missing: {missing(view)}"
    if view.error is not None:
        words += f"; {view.error}"
    return f"{words}{retry(view, outlook)}."


def advice(view: RunView) -> list[str]:
    """Actions of the owner that help, a sentence each."""
    known = (known_reason(reason) for reason in view.skipped_by_reason)
    return [reason.sentence for reason in known if reason in NEEDS_OWNER]


def missing(view: RunView) -> str:
    """Items that the run did not obtain, as far as anybody knows."""
    if view.status == "succeeded":
        return "nothing"
    if view.ended_at is None:
        return "not over yet"
    by_reason = counts({**view.skipped_by_reason, **({"refused": r} if (r := view.records_rejected) else {})})
    if view.records_missing_estimate is None:
        return f"unknown{f' ({by_reason})' if by_reason else ''}"
    return f"{view.records_missing_estimate:,}{f' ({by_reason})' if by_reason else ''}"


def retry(view: RunView, outlook: Outlook) -> str:
    """The next try of a run's gaps: as the run knew it at its end, but not in a wait that is in force since."""
    not_before = (view.retry_hint or {}).get("not_before")
    if not_before is None or outlook.is_paused:
        return ""
    return f"; tried again {due(after_wait(datetime.fromisoformat(not_before), outlook.wait))}"


def document(view: RunView, outlook: Outlook) -> dict[str, Any]:
    """A run as JSON, with the wait that is in force while it is active."""
    wait = outlook.wait if _is_active(view, outlook) else None
    return {
        **asdict(view),
        "waits_until": wait.until if wait else None,
        "wait_reason": wait.reason if wait else None,
    }


def print_list(views: Sequence[RunView], outlooks: Mapping[str, Outlook]) -> None:
    """Print a line for each run, then what keeps active ones from going on."""
    rows = [
        (
            str(view.id),
            view.connection,
            "full" if view.mode == "full_refresh" else view.kind,
            view.trigger,
            _status(view),
            f"{view.records_flushed:,}",
            f"{view.records_unchanged:,}",
            missing_count(view),
            relative(view.started_at or view.created_at),
            _length(view),
        )
        for view in views
    ]
    columns = ("run", "connection", "kind", "trigger", "status", "new", "unchanged", "missing", "started", "took")
    print_table(columns, rows, right=("run", "new", "unchanged", "missing"), whole=("kind", "trigger", "took"))
    for view in views:
        if kept := _kept_by(view, outlooks[view.connection]):
            say(f"run {view.id} of {view.connection}: {kept}")


def print_one(view: RunView, streams: Sequence[RunStreamView], outlook: Outlook) -> None:
    """Print everything about one run."""
    rows = [
        ("run", f"{view.id} of {view.connection} ({view.connector} {view.connector_version})"),
        ("what", f"{view.kind}, {view.mode}, started by {view.trigger}"),
        ("status", "; ".join(part for part in (_status(view), _kept_by(view, outlook)) if part)),
        ("queued", local(view.created_at)),
        ("started", local(view.started_at) if view.started_at else "not yet"),
        ("ended", local(view.ended_at) if view.ended_at else "not yet"),
        ("slices", str(view.slices)),
        ("records", f"{view.records_durable:,} kept ({_kept(view)}); {view.records_rejected:,} refused"),
        ("missing", missing(view) + retry(view, outlook)),
        *([("messages", f"refused {counts(view.messages_refused)}")] if view.messages_refused else []),
        *([("gaps", _retried(view))] if view.gaps_tried else []),
        ("checkpoints", f"{view.checkpoints_committed} of {view.checkpoints_staged} committed"),
    ]
    print_pairs(rows + ([("error", view.error)] if view.error else []))
    if streams:
        say("")
        _print_counts(streams)
        _print_remarks(streams)


def _is_active(view: RunView, outlook: Outlook) -> bool:
    return outlook.waits.run is not None and outlook.waits.run.id == view.id


def _kept_by(view: RunView, outlook: Outlook) -> str:
    """Reasons why an active run does not go on; empty: there is none, or it is over."""
    return "; ".join(obstacles(outlook)) if _is_active(view, outlook) else ""


def _retried(view: RunView) -> str:
    """The outcome of the gaps that the run retried."""
    closed = view.gaps_closed
    if closed is None:
        return f"{view.gaps_tried:,} tried so far"
    still = max(0, view.gaps_tried - closed)
    return f"{view.connector_version} fixed {closed:,} of {max(view.gaps_tried, closed):,}, {still:,} still fail"


def missing_count(view: RunView) -> str:
    """The number that a list shows."""
    if view.ended_at is None:
        return ""
    return "0" if view.status == "succeeded" else number(view.records_missing_estimate)


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
    print_table(columns, rows, right=columns[1:])


def _print_remarks(streams: Iterable[RunStreamView]) -> None:
    for one in streams:
        if one.skipped_by_reason:
            say(f"{one.stream}: skipped {counts(one.skipped_by_reason)}")
        if one.error and one.error not in one.skipped_by_reason:
            say(f"{one.stream}: {one.error}")


def _kept(view: RunView) -> str:
    return f"{view.records_flushed:,} new or changed, {view.records_unchanged:,} unchanged"


def _status(view: RunView) -> str:
    words = view.status.replace("_", " ")
    if view.ended_at is None and not view.leased and view.started_at is not None:
        words = "waiting"
    return f"{words}, asked to stop" if view.cancel_requested and view.ended_at is None else words


def _length(view: RunView) -> str:
    if view.started_at is None or view.ended_at is None:
        return ""
    return duration((view.ended_at - view.started_at).total_seconds())
