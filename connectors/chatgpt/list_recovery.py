"""Retries parts of the lists: a list that failed, contradicted itself, or was not read to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.chatgpt.conversations import Conversations
from connectors.chatgpt.gaps import is_backlog
from connectors.chatgpt.walks import STREAM
from pdpp_worker.connector import DetailGapRecovered, GapToClose, Message, Scope, SkipResult, State


def walk_again(walk: Conversations, parts: Sequence[GapToClose]) -> Iterator[Message]:
    """Walk the lists to their ends, and close the gaps about parts of them that nothing is said of this time.

    No cursor moves: the next run reads the same items again, and finds them known.
    """
    said: list[Scope | None] = []
    for message in walk.walk_whole():
        if isinstance(message, SkipResult):
            said.append(message.scope)
        if not isinstance(message, State):
            yield message
    if walk.is_deferred:
        return
    for known in parts:
        if known.scope not in said and not is_backlog(known):
            yield DetailGapRecovered(gap_id=known.gap_id, stream=STREAM, record_key=STREAM, absent=True)
