"""The account: its conversations, their changes between two visits, and the records expected of a collector.

Only what the list needs is held in memory (about 250 bytes a conversation); details are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count

from connectors.chatgpt.practice.content import files_named
from connectors.chatgpt.practice.conversation import Conversation, message_tree
from connectors.chatgpt.practice.options import Change
from pdpp_worker.conformance.seeding import fraction, generator, named_uuid

NEWEST = datetime(2025, 9, 1, tzinfo=UTC).timestamp()
"""No conversation of the account as it first was is younger (Unix seconds)."""
SPAN_S = 3 * 365 * 86_400.0
CHANGE_EVERY_S = 86_400.0
TOUCH_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Advanced:
    """The conversations that a change touched, by id."""

    updated: tuple[str, ...]
    new: tuple[str, ...]
    deleted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """One conversation of a complete collection: the ids of all nodes with a message, in order."""

    conversation_id: str
    update_time: float
    message_ids: tuple[str, ...]
    file_ids: tuple[tuple[str, str], ...] = ()
    """Each file with the message that names it."""


class Account:
    """The conversations of an account; the same for the same seed, size and changes."""

    def __init__(self, seed: int, conversations: int) -> None:
        self.seed, self.conversations = seed, conversations
        self.changes: list[Change] = []
        self._next_index = conversations
        self._by_id: dict[str, Conversation] = {}
        self._hidden = frozenset[str]()
        for index in range(conversations):
            self._put(self._original(index))
        self._sort()

    def __len__(self) -> int:
        return len(self._newest_first)

    def __iter__(self) -> Iterator[Conversation]:
        """The conversations, newest update first."""
        return iter(self._newest_first)

    def page(self, offset: int, limit: int) -> list[Conversation]:
        """Part of all conversations, newest update first."""
        return self._newest_first[offset : offset + limit]

    def listed(self, *, archived: bool = False, team: bool = False, project: int | None = None) -> list[Conversation]:
        """One of the lists: archived conversations, those of a project and those of the team stand apart.

        A project holds archived ones as well.
        """
        shown = (one for one in self._newest_first if one.id not in self._hidden and one.is_of_team is team)
        if project is not None:
            return [one for one in shown if one.project == project]
        return [one for one in shown if one.project is None and one.is_archived is archived]

    def find(self, conversation_id: str) -> Conversation | None:
        """The conversation with this id, unless it was deleted or never was."""
        return self._by_id.get(conversation_id)

    def put(self, conversation: Conversation) -> None:
        """A conversation is there, in the place of the one of its id."""
        self._put(conversation)
        self._sort()

    def remove(self, conversation_id: str) -> None:
        """A conversation is there no more."""
        del self._by_id[conversation_id]
        self._sort()

    def advance(self, change: Change) -> Advanced:
        """Let turns, new conversations and deletions happen, each change a day after the one before.

        Raises ValueError if the account has too few conversations for it.
        """
        wanted = change.updates + change.deleted + change.hidden
        if wanted > len(self):
            raise ValueError(f"the account has {len(self)} conversations, too few to update and delete that many")
        self.changes.append(change)
        step = len(self.changes)
        touched = generator(self.seed, "change", step, change.seed).sample(sorted(self._by_id), wanted)
        updated, deleted = touched[: change.updates], touched[change.updates : wanted - change.hidden]
        self._hidden = frozenset(touched[wanted - change.hidden :])
        instants = count(NEWEST + step * CHANGE_EVERY_S, TOUCH_EVERY_S)
        for conversation_id in updated:
            old = self._by_id[conversation_id]
            self._put(replace(old, revisions=(*old.revisions, next(instants))))
        new = [self._add(next(instants)) for _ in range(change.new)]
        for conversation_id in deleted:
            del self._by_id[conversation_id]
        self._sort()
        return Advanced(tuple(updated), tuple(new), tuple(deleted))

    def expected(self) -> Iterator[Expected]:
        """The expected records of every conversation, newest update first."""
        for conversation in self:
            mapping = message_tree(conversation).mapping
            said = tuple(node_id for node_id, node in mapping.items() if node["message"])
            named = tuple((node, file) for node in said for file in files_named(mapping[node]["message"]))
            yield Expected(conversation.id, conversation.update_time, said, named)

    def _original(self, index: int) -> Conversation:
        # Some conversations share their update time with the one before, as imported ones do.
        clock = index - 1 if index % 40 == 39 else index
        updated = round(NEWEST - fraction(self.seed, "update", clock) * SPAN_S, 6)
        return self._conversation(index, updated)

    def _conversation(self, index: int, updated: float) -> Conversation:
        return Conversation(self.seed, index, named_uuid(self.seed, "conversation", index), updated)

    def _add(self, updated: float) -> str:
        conversation = self._conversation(self._next_index, updated)
        self._next_index += 1
        self._put(conversation)
        return conversation.id

    def _put(self, conversation: Conversation) -> None:
        self._by_id[conversation.id] = conversation

    def _sort(self) -> None:
        conversations = self._by_id.values()
        self._newest_first = sorted(conversations, key=lambda one: (one.update_time, one.id), reverse=True)
