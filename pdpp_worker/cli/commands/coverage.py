"""`pdpp-worker coverage`: is anything missing?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated

import typer

from pdpp_worker.cli.output import Json, print_json, print_table, said_once, say, wrap
from pdpp_worker.cli.remarks import remarks
from pdpp_worker.cli.source_tables import left_out
from pdpp_worker.coverage import all_streams
from pdpp_worker.coverage.outlook import read as read_outlooks
from pdpp_worker.coverage.phrases import NOTHING_YET, in_words, number, titled
from pdpp_worker.coverage.sentences import overall
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.verdict import Availability, Verdict
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views import member_views
from pdpp_worker.store.views.member_views import MemberView
from pdpp_worker.store.views.reading import take_snapshot

Inventories = Mapping[str, Sequence[MemberView]]
"""Connection to the members of its source."""


def coverage(
    name: Annotated[str | None, typer.Argument(help="Only this connection, or those of this connector.")] = None,
    json: Json = False,
) -> None:
    """Say of each stream whether anything is missing, why, and what happens next."""
    with open_session() as session:
        found, inventories = _read(session, name)
    if json:
        print_json(found)
    elif found:
        _print(found, inventories)
    else:
        say(NOTHING_YET)


def _read(session: Session, name: str | None) -> tuple[list[StreamCoverage], Inventories]:
    """The coverage of all connections, or of those that the name means, and what their sources consist of."""
    with session.db.begin() as connection:
        take_snapshot(connection)
        ids = None if name is None else [row.id for row in lookup.targets(connection, name)]
        outlooks = read_outlooks(session.settings, connection, ids)
        members = member_views.read(connection, [one.view.id for one in outlooks])
        return all_streams.read(connection, outlooks), {one.view.name: members[one.view.id] for one in outlooks}


def _counts(one: StreamCoverage) -> tuple[str, str]:
    never = one.supply is Availability.NEVER and one.records is None
    return ("-", "-") if never else (number(one.records), number(one.missing))


def _print(found: Sequence[StreamCoverage], inventories: Inventories) -> None:
    columns = ("connection", "stream", "held", "missing", "verdict")
    rows = [
        (said_once(connection, index), titled(one), *_counts(one), in_words(one.verdict))
        for connection, streams in groupby(found, key=lambda one: one.connection)
        for index, one in enumerate(streams)
    ]
    print_table(columns, rows, right=("held", "missing"), whole=("verdict",))
    say(*remarks(one for one in found if one.verdict is not Verdict.COMPLETE))
    for name, members in inventories.items():
        if lines := list(left_out(members, indent=2)):
            say("", f"{name}, at the source and not collected:", *lines)
    say("", *wrap(overall(one.verdict for one in found)))
