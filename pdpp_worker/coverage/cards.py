"""A card for each connection: its verdict, what is held and missing, what goes on, and what is asked of the owner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from pdpp_worker.coverage import all_streams
from pdpp_worker.coverage.due_action import Action, due_action
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.phrases import last_run, next_run, obstacles
from pdpp_worker.coverage.sentences import overall
from pdpp_worker.coverage.status_rows import is_shown
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.verdict import Verdict
from pdpp_worker.store.views import run_views


@dataclass(frozen=True)
class Progress:
    """How far the active run is in a stream; `total` is None where the source does not tell."""

    stream: str
    count: int
    total: int | None


@dataclass(frozen=True)
class Need:
    """Something that waits for the owner: the sentence that says what to do, and the streams that wait."""

    connection_id: int
    connection: str
    action: str
    """The same in a word or two, which stays the same however the sentence is worded."""
    sentence: str
    streams: list[str]


@dataclass(frozen=True)
class Card:
    """A connection in short; None is unknown."""

    connection_id: int
    connection: str
    connector: str
    verdict: Verdict
    """The worst of its streams; unknown as long as it has none."""
    held: int
    missing: int | None
    missing_known: int
    """The number known to be missing, which may not be all."""
    obstacles: list[str]
    """Reasons why it does not go on."""
    run_id: int | None
    """Its active run."""
    progress: list[Progress]
    left_s: float | None
    """Working time that the active run has left at its pace so far, s."""
    done_at: datetime | None
    """When all that the fleet retries by itself will be here."""
    done_give_or_take_s: float | None
    waits_until: datetime | None
    wait_reason: str | None
    next_run: str
    last_run: str
    due: Action | None


@dataclass(frozen=True)
class Home:
    """Everything in short."""

    answer: str
    """Am I missing anything? In one sentence."""
    needs: list[Need]
    cards: list[Card]


def read(connection: Connection, outlooks: Sequence[Outlook]) -> Home:
    """Everything about these connections in short."""
    found = all_streams.read(connection, outlooks)
    of = {one.view.name: [each for each in found if each.connection == one.view.name] for one in outlooks}
    return Home(
        answer=overall(one.verdict for one in found),
        needs=[need for one in outlooks for need in needs(one, of[one.view.name])],
        cards=[card(connection, one, of[one.view.name]) for one in outlooks],
    )


def needs(outlook: Outlook, streams: Iterable[StreamCoverage]) -> list[Need]:
    """List what waits for the owner at a connection, one for each cause."""
    view, found = outlook.view, dict[tuple[str, str], list[str]]()
    for message in view.asked_of_owner:
        found[f"asks: {message}", f"Its connector asks you: {message}"] = []
    if view.schedule_error is not None:
        found["schedule", f"Its schedule cannot be followed: {view.schedule_error}"] = []
    if outlook.still is not None:
        found["stands still", f"It stands still: {outlook.still.because}."] = []
    for one in streams:
        for asked in zip(one.owner_actions, one.asked_of_owner, strict=True):
            found.setdefault(asked, []).append(one.stream)
    return [Need(view.id, view.name, *asked, names) for asked, names in found.items()]


def card(connection: Connection, outlook: Outlook, streams: Sequence[StreamCoverage]) -> Card:
    """A connection in short; `streams` are all of its own."""
    view, run, wait = outlook.view, outlook.waits.run, outlook.wait
    shown = [one for one in streams if is_shown(one)]
    ends = [one for one in shown if one.done_at is not None]
    last = max(ends, key=lambda one: one.done_at or outlook.now, default=None)
    return Card(
        connection_id=view.id,
        connection=view.name,
        connector=view.connector,
        verdict=worst(one.verdict for one in shown),
        held=sum(one.records or 0 for one in shown),
        missing=_total(one.missing for one in shown),
        missing_known=sum(sum(one.gaps_by_reason.values()) for one in shown),
        obstacles=obstacles(outlook),
        run_id=run.id if run else None,
        progress=_progress(connection, run.id) if run else [],
        left_s=run_views.left_s(connection, run.id, _below(outlook)) if run else None,
        done_at=last.done_at if last else None,
        done_give_or_take_s=last.done_give_or_take_s if last else None,
        waits_until=wait.until if wait else None,
        wait_reason=wait.reason if wait else None,
        next_run=next_run(view, wait),
        last_run=last_run(view),
        due=due_action(outlook, streams),
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on several streams together; known absent only where all of them are."""
    found = set(verdicts)
    if not found:
        return Verdict.UNKNOWN
    first = next(one for one in Verdict if one in found)
    return Verdict.COMPLETE if first is Verdict.KNOWN_ABSENT and Verdict.COMPLETE in found else first


def _below(outlook: Outlook) -> list[str]:
    """The streams that depend on others."""
    return [one.name for one in outlook.manifest.streams if one.parents] if outlook.manifest else []


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum; None as soon as one of them is unknown."""
    known = list(counts)
    return None if any(one is None for one in known) else sum(one or 0 for one in known)


def _progress(connection: Connection, run_id: int) -> list[Progress]:
    found = run_views.streams(connection, run_id)
    return [
        Progress(one.stream, one.records_emitted if one.progress_total is None else one.progress_count or 0, total)
        for one in found
        if one.state == "walking" and ((total := one.progress_total) is not None or one.records_emitted)
    ]
