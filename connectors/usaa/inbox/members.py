"""The inventory of the inbox: each kind of file, and each file that gives nothing under its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.usaa.inbox.cursor import FileEntry
from connectors.usaa.inbox.files import Found, size_of
from connectors.usaa.records import ACCOUNTS, STATEMENTS, STATS, TRANSACTIONS
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

_FROM_DOCUMENTS = [TRANSACTIONS, ACCOUNTS, STATS]
_IGNORED = "names of hidden files and of the system's own; they are never opened"


def inbox_inventory(found: Sequence[Found], held: Mapping[str, FileEntry], ignored: int) -> Inventory:
    """The members of the inbox. `held`: what was read of each file; `ignored`: files that were not looked at."""
    kinds: dict[str, list[Found]] = {"exports": [], "statements": []}
    unread: list[Found] = []
    for one in found:
        entry = held.get(one.name)
        if entry is None or entry.unread_by is not None:
            unread.append(one)
        else:
            kinds["exports" if entry.statement is None else "statements"].append(one)
    members = [_collected(name, files) for name, files in kinds.items() if files]
    members += [_unknown(one) for one in unread]
    if ignored:
        members.append(
            SourceMember(kind="files", name="hidden files", disposition="declared", count=ignored, reason=_IGNORED)
        )
    return inventory_of("inbox", members)


def _collected(name: str, files: Sequence[Found]) -> SourceMember:
    streams = [*_FROM_DOCUMENTS, *([STATEMENTS] if name == "statements" else [])]
    size = sum(size_of(one) for one in files)
    return SourceMember(kind="files", name=name, disposition="collected", streams=streams, count=len(files), bytes=size)


def _unknown(found: Found) -> SourceMember:
    streams = [TRANSACTIONS, STATEMENTS]
    return SourceMember(
        kind="file", name=found.name, disposition="unknown", streams=streams, count=1, bytes=size_of(found)
    )
