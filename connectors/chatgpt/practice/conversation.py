"""One conversation: what the list knows of it, and how its messages are made from the seed."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.chatgpt.practice import content
from connectors.chatgpt.practice.tree import Tree, add_turn, add_turns, open_conversation
from pdpp_worker.conformance.seeding import fraction, generator

AWKWARD = (*content.AWKWARD_TEXTS, "very_long", "empty", "untitled", "long_title", "rootless", "unknown_time")
AWKWARD_PERIOD = 37
"""The first conversations of each period are awkward, one of each kind."""
PROJECTS = 2
PROJECT_EVERY = 10
TEAM_EVERY = 14
VERY_LONG_CHARS = 1_100_000
LONG_CHARS = 20_000
REVISION_S = 20.0
LONGEST_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Conversation:
    """Number `index` of the account made from `seed`; times are Unix seconds."""

    seed: int
    index: int
    id: str
    first_update: float
    revisions: tuple[float, ...] = ()
    """The times at which turns were added after the conversation first appeared."""

    @property
    def create_time(self) -> float:
        """The time at which it began: within the month before its first update, mostly shortly before."""
        lasted = 30 + fraction(self.seed, "lasted", self.index) ** 4 * LONGEST_S
        return round(self.first_update - lasted, 6)

    @property
    def update_time(self) -> float:
        """The time at which the last turn was added."""
        return self.revisions[-1] if self.revisions else self.first_update

    @property
    def is_archived(self) -> bool:
        """Whether the owner has put it away; the platform then lists it apart."""
        return self.index % 13 == 12

    @property
    def project(self) -> int | None:
        """The number of the project that holds it; the platform lists it there alone."""
        number, place = divmod(self.index, PROJECT_EVERY)
        return number % PROJECTS if place == PROJECT_EVERY // 2 - 1 and not self.is_of_team else None

    @property
    def is_of_team(self) -> bool:
        """Whether it belongs to the workspace of the owner's team, which the platform shows apart."""
        return self.index % TEAM_EVERY == 3

    @property
    def awkward(self) -> str | None:
        """The difficulty in reading this conversation, if there is one."""
        place = self.index % AWKWARD_PERIOD
        return AWKWARD[place] if place < len(AWKWARD) else None

    @property
    def in_batches(self) -> bool:
        """Whether batch answers contain it; the platform leaves some out without a word."""
        return self.index % 20 != 19


def title(conversation: Conversation) -> str | None:
    """The title, None where the platform never made one."""
    words = content.sentence(generator(conversation.seed, "title", conversation.index), 2, 6).rstrip(".")
    if conversation.awkward == "untitled":
        return None
    if conversation.awkward == "long_title":
        return f"{words} " * 60
    return f"{words} {content.AWKWARD_TEXTS.get(conversation.awkward or '', '')}".rstrip(" ")


def message_tree(conversation: Conversation) -> Tree:
    """All messages; turns that are added later leave the earlier ones as they are."""
    tree = Tree(generator(conversation.seed, "tree", conversation.index))
    if conversation.awkward != "empty":
        open_conversation(tree)
        add_turns(tree, _opening(conversation))
        tree.date(conversation.create_time, conversation.first_update)
    if conversation.awkward == "rootless":
        tree.forget_root()
    for updated in conversation.revisions:
        if tree.current is None:
            tree.plant()
        add_turn(tree)
        tree.date(updated - REVISION_S, updated)
    return tree


def _opening(conversation: Conversation) -> str | None:
    if conversation.awkward == "very_long":
        return "word " * ((VERY_LONG_CHARS if conversation.index < AWKWARD_PERIOD else LONG_CHARS) // 5)
    return content.AWKWARD_TEXTS.get(conversation.awkward or "")
