"""The parts of an account as the network shows it: its lists, and the data that nothing asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.chatgpt.gaps import TREES
from connectors.chatgpt.sources import Source, Unlisted
from connectors.chatgpt.workspaces import Workspace
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

SMALL = {
    "memories": "memories",
    "projects": "projects",
    "own GPTs": "custom_gpts",
    "custom instructions": "custom_instructions",
    "shared links": "shared_conversations",
}
NOT_ASKED_FOR = {
    "bytes of files, pictures and recordings": "names, types and sizes are collected; many bytes are in exports",
    "temporary chats": "the platform lists them nowhere, and deletes them",
    "group chats, feedback on answers, canvases": "only an official export holds them whole",
    "scheduled tasks, Codex tasks, videos, settings and billing": "no conversations; nothing asks for them yet",
}


@dataclass
class Found:
    """The lists of conversations that a walk found, or did not find."""

    lists: list[Source] = field(default_factory=list)
    unlisted: list[Unlisted] = field(default_factory=list)
    closed: list[Workspace] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """The items of the lists that were walked, by their names."""

    def add(self, one: Source | Unlisted | Workspace) -> None:
        """Note one of them."""
        if isinstance(one, Source):
            self.lists.append(one)
        elif isinstance(one, Unlisted):
            self.unlisted.append(one)
        else:
            self.closed.append(one)

    def inventory(self) -> Inventory:
        """All of them, as members of the source."""
        walked = [
            SourceMember(
                kind="list",
                name=one.name,
                disposition="collected",
                streams=list(TREES),
                count=self.counts.get(one.name),
            )
            for one in self.lists
        ]
        missing = [_declared("list", one.name, f"none are named: {one.error}") for one in self.unlisted]
        closed = [_declared("workspace", one.name, "it is deactivated") for one in self.closed]
        return inventory_of("conversations", [*walked, *missing, *closed])


def account_inventory() -> Inventory:
    """The parts that every account has, collected or not."""
    collected = [
        SourceMember(kind="list", name=name, disposition="collected", streams=[stream])
        for name, stream in SMALL.items()
    ]
    declared = [_declared("data", name, reason) for name, reason in NOT_ASKED_FOR.items()]
    return inventory_of("account", [*collected, *declared])


def _declared(kind: str, name: str, reason: str) -> SourceMember:
    return SourceMember(kind=kind, name=name, disposition="declared", reason=reason)
