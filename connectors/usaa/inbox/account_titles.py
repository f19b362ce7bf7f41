"""The names of accounts, told by all documents together: not by the one that happens to be read last."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from connectors.usaa.inbox.cursor import Cursor, FileEntry
from connectors.usaa.records import RecordFactory
from pdpp_worker.connector import Record


def renamed(cursor: Cursor, factory: RecordFactory, named_by_site: Collection[str]) -> Iterator[Record]:
    """The accounts whose name is another one than was sent; the cursor keeps what was."""
    told = {account: name for account, name in _names(cursor).items() if account not in named_by_site}
    for account, name in told.items():
        if cursor.names.get(account) != name:
            yield from factory.account(account, name=name)
    cursor.names = told


def _names(cursor: Cursor) -> dict[str, str]:
    best: dict[str, tuple[bool, int, str]] = {}
    for name, held in cursor.files.items():
        title = _title(name, held)
        if held.account is not None and title is not None:
            best[held.account] = min(title, best.get(held.account, title))
    return {account: title[2] for account, title in sorted(best.items())}


def _title(name: str, held: FileEntry) -> tuple[bool, int, str] | None:
    """The product as a statement prints it, else the folder that the owner made: the outermost one tells most."""
    if held.product is not None:
        return False, 0, held.product
    folder = name.rpartition("/")[0]
    return (True, folder.count("/"), folder.rpartition("/")[2]) if folder else None
