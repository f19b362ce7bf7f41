"""Tables of what a source consists of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pdpp_worker.cli.output import print_table, wrap
from pdpp_worker.coverage.source_parts import fate, in_short, size_of
from pdpp_worker.store.views.member_views import MemberView


def print_inventory(members: Sequence[MemberView]) -> None:
    """Print a line for each member of a source."""
    columns = ("at the source", "kind", "count", "size", "what becomes of it")
    rows = [
        (
            one.name,
            one.kind,
            "" if one.count is None else f"{one.count:,}",
            "" if one.bytes is None else size_of(one.bytes),
            fate(one),
        )
        for one in members
    ]
    print_table(columns, rows, right=("count", "size"))


def left_out(members: Sequence[MemberView], *, indent: int = 0) -> Iterator[str]:
    """The members that are not collected, with the reason, as lines."""
    for one in members:
        if one.disposition != "collected":
            yield from wrap(f"{in_short(one)}: {fate(one)}", indent=indent)
