"""A FETCH that is sent before its answers are needed, so that its way over the line costs no time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from connectors.gmail.client import Answer, Client
from pdpp_worker.connector import ProviderError


@dataclass
class Ahead:
    """A command on its way; without a `turn` it was not sent, or the connection broke: it is asked for again."""

    label: str
    messages: str
    items: Sequence[str]
    client: Client | None = None
    tag: bytes = b""
    turn: AbstractContextManager[None] | None = None
    """Entered when the command was sent, left when its answers were read."""
    answers: dict[int, Answer] | None = None
    failure: ProviderError | None = None
    """The outcome, unless it was answered."""

    def take(self, client: Client) -> dict[int, Answer]:
        """Read the answers from the connection on which it was sent."""
        return client.answers(self.tag)

    def ask(self, client: Client) -> dict[int, Answer]:
        """Send it, and read the answers."""
        return client.fetch_by_uid(self.messages, self.items)


class Entered(AbstractContextManager[None]):
    """A turn that was entered before; leaving it is left to this block."""

    def __init__(self, turn: AbstractContextManager[None]) -> None:
        self._turn = turn

    def __exit__(self, *failure: object) -> bool | None:
        """Leave the turn with the outcome of the block."""
        return self._turn.__exit__(*failure)  # type: ignore[arg-type]
