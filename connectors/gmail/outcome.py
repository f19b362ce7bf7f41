"""The messages of a page that are wanted, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.gmail.rows import Mail

HOPELESS = 20
"""Messages that have to fail together before the server itself is taken to be failing."""

Chosen = Callable[[Mail, str, str], bool]
"""Whether, of this message, the record of a stream with this key is to be read."""


def everything(_message: Mail, _stream: str, _key: str) -> bool:
    """Every record."""
    return True


@dataclass
class Outcome:
    """The results for the messages that were asked for."""

    read: list[Mail] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    """UIDs that are there and could not be read."""
    large: list[int] = field(default_factory=list)
    """UIDs of messages of which a text or attachment is beyond the cap."""
    textless: int = 0
    """Messages whose text could not be read."""

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing at all was given, which speaks of the server rather than of one message."""
        asked = len(self.read) + len(self.failed)
        return asked >= HOPELESS and len(self.failed) + self.textless == asked
