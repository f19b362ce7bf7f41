"""Titles of sessions, as the lines of a transcript give them: the owner's own, a generated one, a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from connectors.claude_code.shapes import Obj

_MAX_PENDING = 1_000
_KINDS = {
    "summary": ("summary", "summary", 1),
    "ai-title": ("aiTitle", "generated_title", 2),
    "custom-title": ("customTitle", "custom_title", 3),
}


class Title(NamedTuple):
    """A title: the field of the session that holds it, its text, and its rank: the highest one is the session's."""

    field: str
    text: str
    rank: int


class Titles:
    """The titles in one transcript.

    A summary that names no session is about the conversation whose last line it names. It counts where that line
    stands in the same transcript: shortly before it, or anywhere behind the summaries at the transcript's beginning.
    """

    def __init__(self, head: Iterable[Obj]) -> None:
        """`head`: the lines at the transcript's beginning that were read before."""
        self._pending: dict[str, Title] = {}
        for line in head:
            self.of(line, lambda _: False)

    @property
    def is_waiting(self) -> bool:
        """Whether a summary waits for the line that it is about; else a turn of the conversation gives no title."""
        return bool(self._pending)

    def of(self, line: Obj, knows: Callable[[str], bool]) -> Title | None:
        """The title that a line gives its session; `knows` says whether a uuid stood shortly before."""
        kind = line.get("type")
        known = _KINDS.get(kind) if isinstance(kind, str) else None
        if known is None:
            return self._pending.pop(str(line.get("uuid")), None) if self._pending else None
        name, field, rank = known
        text, leaf = line.get(name), line.get("leafUuid")
        if not isinstance(text, str) or not text:
            return None
        title = Title(field, text, rank)
        if not isinstance(leaf, str) or isinstance(line.get("sessionId"), str) or knows(leaf):
            return title
        if len(self._pending) < _MAX_PENDING:
            self._pending[leaf] = title
        return None
