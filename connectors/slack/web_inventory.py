"""The parts of a workspace as the Web API shows it, and those that it shows and that are not collected."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from connectors.slack.streams import (
    CANVASES,
    CHANNEL_STATS,
    CHANNELS,
    FILES,
    MEMBERSHIPS,
    MESSAGES,
    USERS,
    WORKSPACE,
)
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

_LISTS = (
    ("auth.test", (WORKSPACE,)),
    ("users.list", (USERS,)),
    ("conversations.list", (CHANNELS, CHANNEL_STATS, MEMBERSHIPS, MESSAGES)),
    ("files.list", (FILES, CANVASES)),
)
_DECLARED = {
    "bookmarks of channels": "they are not asked for by this version",
    "drafts and scheduled messages": "the Web API shows an app only those that it made itself",
    "items of Slack lists": "only what is known about the list as a file is collected",
    "bytes of files, text of canvases": "only what is known about them is collected",
}


def other_lists(counts: dict[str, int]) -> Iterator[SourceMember]:
    """Lists in Slack's answers that this version does not know."""
    for name, count in counts.items():
        yield SourceMember(kind="list", name=name, disposition="unknown", count=count)


def web_inventory(channels: int, outside: int, personal: Iterable[SourceMember], wanted: Collection[str]) -> Inventory:
    """The inventory of a walk; `outside` is the number of conversations that the owner is no member of."""
    members = [*personal]
    for name, streams in _LISTS:
        if asked := [one for one in streams if one in wanted]:
            count = channels if name == "conversations.list" else None
            members.append(SourceMember(kind="list", name=name, disposition="collected", streams=asked, count=count))
    if outside:
        reason = "you are no member of them, and the setting member_only is on"
        name = "conversations of others"
        members.append(SourceMember(kind="list", name=name, disposition="declared", reason=reason, count=outside))
    members += [
        SourceMember(kind="list", name=name, disposition="declared", reason=why) for name, why in _DECLARED.items()
    ]
    return inventory_of("Web API", members)
