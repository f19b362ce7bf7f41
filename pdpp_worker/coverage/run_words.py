"""A run in words: how it ended, what it brought, what is missing of it, and what keeps it from going on."""

from __future__ import annotations

from datetime import datetime

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.phrases import counts, number, obstacles
from pdpp_worker.coverage.times import due, duration, relative
from pdpp_worker.coverage.waits import after_wait
from pdpp_worker.protocol.reasons import NEEDS_OWNER, known_reason
from pdpp_worker.store.views.run_views import RunView


def summary(view: RunView, outlook: Outlook) -> str:
    """The end of a run in one sentence."""
    words = f"Run {view.id} of {view.connection} {view.status.replace('_', ' ')}: {kept(view)}"
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


def missing_count(view: RunView) -> str:
    """The number that a list shows."""
    if view.ended_at is None:
        return ""
    return "0" if view.status == "succeeded" else number(view.records_missing_estimate)


def retry(view: RunView, outlook: Outlook) -> str:
    """The next try of a run's gaps: as the run knew it at its end, but not in a wait that is in force since."""
    not_before = (view.retry_hint or {}).get("not_before")
    if not_before is None or outlook.is_paused:
        return ""
    return f"; tried again {due(after_wait(datetime.fromisoformat(not_before), outlook.wait))}"


def is_active(view: RunView, outlook: Outlook) -> bool:
    """Whether it is the active run of its connection."""
    return outlook.waits.run is not None and outlook.waits.run.id == view.id


def kept_by(view: RunView, outlook: Outlook) -> str:
    """Reasons why an active run does not go on; empty: there is none, or it is over."""
    return "; ".join(obstacles(outlook)) if is_active(view, outlook) else ""


def retried(view: RunView) -> str:
    """The outcome of the gaps that the run retried."""
    closed = view.gaps_closed
    if closed is None:
        return f"{view.gaps_tried:,} tried so far"
    still = max(0, view.gaps_tried - closed)
    return f"{view.connector_version} fixed {closed:,} of {max(view.gaps_tried, closed):,}, {still:,} still fail"


def kept(view: RunView) -> str:
    """The records that it brought."""
    return f"{view.records_flushed:,} new or changed, {view.records_unchanged:,} unchanged"


def status(view: RunView) -> str:
    """Its status as people read it."""
    words = view.status.replace("_", " ")
    if view.ended_at is None and not view.leased and view.started_at is not None:
        words = "waiting"
    return f"{words}, asked to stop" if view.cancel_requested and view.ended_at is None else words


def started(view: RunView) -> str:
    """How long ago it began; one that waits for a worker has not."""
    return relative(view.started_at) if view.started_at is not None else "not yet"


def length(view: RunView) -> str:
    """How long it took; empty: it is not over, or never began."""
    if view.started_at is None or view.ended_at is None:
        return ""
    return duration((view.ended_at - view.started_at).total_seconds())
