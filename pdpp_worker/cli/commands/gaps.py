"""`pdpp-worker gaps`: what is missing, why, who acts and when."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import groupby, islice
from typing import Annotated, Literal

import typer

from pdpp_worker.cli.gap_options import Gaps, Stream, Why
from pdpp_worker.cli.groups import ListsByName
from pdpp_worker.cli.number_options import MOST
from pdpp_worker.cli.output import Json, print_json_line, print_table, say
from pdpp_worker.coverage.documents import gap_document
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.coverage.phrases import waiting
from pdpp_worker.coverage.sentences import who_acts
from pdpp_worker.coverage.times import due
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import gap_filters, lookup
from pdpp_worker.owner.gap_filters import GapFilter
from pdpp_worker.owner.looking import open_look
from pdpp_worker.protocol.reasons import known_reason
from pdpp_worker.store.views import gap_views
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.reading import PAGE

Target = Annotated[str, typer.Argument(help="A connection, or a connector for all of its connections.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


class Which(StrEnum):
    """Which gaps to list."""

    OPEN = "open"
    ALL = "all"


app = typer.Typer(cls=ListsByName, help="What is missing, and why; `gaps NAME` lists it.", no_args_is_help=True)


@app.command("list")
def list_(
    name: Target,
    status: Annotated[Which, typer.Option(help="What is missing now, or all that ever was.")] = Which.OPEN,
    reason: Annotated[str | None, typer.Option(help="Only gaps of this reason.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1, max=MOST)] = None,
    json: Json = False,
) -> None:
    """List what is missing, with the reason, the attempts, the next one and who acts. --json prints JSON lines."""
    gap_filters.check_reason(reason)
    with open_look() as (settings, connection):
        ids = [row.id for row in lookup.targets(connection, name)]
        outlooks = {one.view.name: one for one in read(settings, connection, ids)}
        found = gap_views.of_connections(connection, ids, closed_too=status is Which.ALL, reason=reason, limit=limit)
        if json:
            for gap in found:
                print_json_line(gap_document(gap, outlooks[gap.connection]))
        else:
            _print(found, name, outlooks)


@app.command()
def waive(
    name: Target, stream: Stream = None, reason: Why = None, gap: Gaps = None, everything: Everything = False
) -> None:
    """Do without what is missing: it is no longer asked for, nor counted as missing."""
    _change(name, _chosen(stream, reason, gap, everything), "waive", "waived")


@app.command()
def reopen(
    name: Target, stream: Stream = None, reason: Why = None, gap: Gaps = None, everything: Everything = False
) -> None:
    """Ask again for what was waived, given up after many attempts, or said not to exist."""
    _change(name, _chosen(stream, reason, gap, everything), "reopen", "open again")


def _chosen(stream: str | None, reason: str | None, ids: list[int] | None, everything: bool) -> GapFilter:
    chosen = gap_filters.gap_filter(stream, reason, ids)
    if chosen == gap_filters.ALL and not everything:
        raise ConfigurationError("Say which gaps: --gap, --stream or --reason, or --all for all of them.")
    return chosen


def _change(name: str, chosen: GapFilter, change: Literal["waive", "reopen"], outcome: str) -> None:
    from pdpp_worker.owner import gap_changes, session  # to list gaps takes neither

    changes = {"waive": gap_changes.waive, "reopen": gap_changes.reopen}
    with session.open_session() as opened:
        count = changes[change](opened.db, name, chosen)
    say(f"Gaps of {name} that are {outcome}: {count:,}.")


def _print(found: Iterator[GapView], name: str, outlooks: Mapping[str, Outlook]) -> None:
    """A paragraph for each stream; page by page, so that a long list needs no more memory than a short one."""
    met: dict[str, GapView] = {}
    before = None
    while page := list(islice(found, PAGE)):
        for stream, gaps in groupby(page, key=lambda gap: f"{gap.connection} {gap.stream}"):
            if stream != before:
                say(*([""] if before else []), stream)
            _print_gaps(gaps, outlooks, header=stream != before)
            before = stream
        met = {gap.reason: gap for gap in reversed(page)} | met  # the first of each reason
    say("" if before else f"Nothing is known to be missing of {name}.")
    say(*(f"{name} {waiting(one.wait.until, one.wait.reason)}" for name, one in outlooks.items() if one.wait))
    for reason in sorted(met):
        known = known_reason(reason)
        say(f"{reason}: {known.sentence if known else 'no sentence is known for this reason.'}")
        if met[reason].last_error:
            say(f"  gap {met[reason].id}: {met[reason].last_error}")


def _print_gaps(gaps: Iterable[GapView], outlooks: Mapping[str, Outlook], *, header: bool) -> None:
    columns = ("gap", "scope", "reason", "tries", "next try", "who acts")
    rows = (_cells(gap, outlooks[gap.connection]) for gap in gaps)
    print_table(columns, rows, right=("gap", "tries"), whole=("reason", "next try", "who acts"), header=header)


def _cells(gap: GapView, outlook: Outlook) -> tuple[str, ...]:
    next_try = outlook.next_try(gap)
    scope = gap.scope.get("resource_id") or json_text.dumps(gap.scope, ensure_ascii=False)
    return (
        str(gap.id),
        "whole stream" if gap.scope == {"partition": {}} else str(scope),
        gap.reason,
        str(gap.attempts),
        due(next_try) if next_try else "",
        who_acts(gap, outlook),
    )
