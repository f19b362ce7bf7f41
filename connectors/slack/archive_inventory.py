"""The tables of an archive, those that this version does not know among them."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.slack.archive import Archive
from connectors.slack.streams import (
    ATTACHMENTS,
    CANVASES,
    CHANNEL_STATS,
    CHANNELS,
    FILES,
    MEMBERSHIPS,
    MESSAGES,
    REACTIONS,
    STARS,
    USERS,
    WORKSPACE,
)
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

_COLLECTED: dict[str, tuple[str, ...]] = {
    "MESSAGE": (MESSAGES, ATTACHMENTS, REACTIONS),
    "CHANNEL": (CHANNELS, CHANNEL_STATS),
    "CHANNEL_USER": (MEMBERSHIPS,),
    "S_USER": (USERS,),
    "FILE": (FILES, CANVASES),
    "WORKSPACE": (WORKSPACE,),
    "SEARCH_MESSAGE": (MESSAGES,),
    "SEARCH_FILE": (FILES,),
    "SAVED_ITEM": (STARS,),
}
_DECLARED = {
    "SESSION": "slackdump's account of its runs; it says what is missing",
    "CHUNK": "slackdump's account of Slack's answers; it says what is missing",
    "TYPES": "names of kinds of answers",
    "ALIAS": "names that you gave to channels in slackdump's viewer",
    "GOOSE_DB_VERSION": "the version of the archive's form",
}
_BAD = ("SEARCH_MESSAGE", "SEARCH_FILE", "SAVED_ITEM")
"""Tables whose unreadable rows are no gaps of their own."""


def archive_inventory(archive: Archive) -> Inventory:
    """The inventory of an archive."""
    return inventory_of("archive", _members(archive))


def _members(archive: Archive) -> Iterator[SourceMember]:
    for name in sorted(archive.schema.tables):
        if name.startswith("SQLITE_"):
            continue
        query = f"SELECT count(*) FROM [{name}]"  # noqa: S608
        yield _member(name, int(archive.database.execute(query).fetchone()[0]))
        if name in _BAD:
            query = f"SELECT count(*) FROM {name} WHERE NOT json_valid(CAST(DATA AS TEXT))"  # noqa: S608
            if bad := int(archive.database.execute(query).fetchone()[0]):
                of, text = list(_COLLECTED[name]), f"rows of {name} that are no JSON"
                yield SourceMember(kind="table", name=text, disposition="unknown", streams=of, count=bad)
    for name in sorted(archive.schema.refused):
        yield SourceMember(kind="table", name=name, disposition="unknown")
    if "SAVED_ITEM" not in archive.schema.tables:
        why = "this archive's slackdump does not fetch them; newer ones do, and so does the Web API"
        yield SourceMember(kind="list", name="saved items", disposition="declared", reason=why)


def _member(name: str, count: int) -> SourceMember:
    if name in _COLLECTED:
        of = list(_COLLECTED[name])
        return SourceMember(kind="table", name=name, disposition="collected", streams=of, count=count)
    if name in _DECLARED:
        return SourceMember(kind="table", name=name, disposition="declared", reason=_DECLARED[name], count=count)
    return SourceMember(kind="table", name=name, disposition="unknown", count=count)
