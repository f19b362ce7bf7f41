"""The inventory of the inbox: how many files of each kind lie in it, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.usaa.inbox.cursor import FileEntry
from connectors.usaa.inbox.files import Found
from connectors.usaa.records import ACCOUNTS, STATEMENTS, STATS, TRANSACTIONS
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

_PART = "inbox"


def inventory(found: Sequence[Found], entries: Mapping[str, FileEntry], pending: int, hidden: int) -> Inventory:
    """Name all that lies in the inbox; `pending` rows are not posted yet, `hidden` files are not looked at."""
    kinds: dict[str, list[Found]] = {"exports": [], "statements": [], "unread": []}
    for one in found:
        kinds[_kind(entries.get(one.name))].append(one)
    members = [
        _files("exports (CSV, OFX, QFX, QIF)", kinds["exports"], collected=[TRANSACTIONS, ACCOUNTS, STATS]),
        _files("statements (PDF)", kinds["statements"], collected=[STATEMENTS, TRANSACTIONS, ACCOUNTS, STATS]),
        _files("files that cannot be read", kinds["unread"], reason="each is a gap under its own name"),
        _left("rows", "rows that are not posted yet", pending, "they come with a later export"),
        _left("files", "hidden files", hidden, "systems leave them; no bank writes them"),
    ]
    return inventory_of(_PART, [one for one in members if one.count])


def _kind(entry: FileEntry | None) -> str:
    if entry is None or entry.unread_by is not None:
        return "unread"
    return "exports" if entry.statement is None else "statements"


def _files(
    name: str, found: Sequence[Found], *, collected: Sequence[str] = (), reason: str | None = None
) -> SourceMember:
    return SourceMember(
        kind="files",
        name=name,
        disposition="collected" if collected else "declared",
        streams=list(collected),
        count=len(found),
        bytes=_size(found),
        reason=reason,
    )


def _left(kind: str, name: str, count: int, reason: str) -> SourceMember:
    return SourceMember(kind=kind, name=name, disposition="declared", count=count, reason=reason)


def _size(found: Iterable[Found]) -> int | None:
    try:
        return sum(one.path.stat().st_size for one in found)
    except OSError:
        return None
