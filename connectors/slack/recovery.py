"""Known gaps, tried one by one: exactly the conversation, thread or record that each names, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from connectors.slack.gaps import miss_reason
from connectors.slack.refresh import entity_of
from connectors.slack.rest import Rest
from connectors.slack.rows import Obj
from connectors.slack.streams import (
    ATTACHMENTS,
    CANVASES,
    CHANNEL_STATS,
    CHANNELS,
    FILES,
    MEMBERSHIPS,
    MESSAGES,
    REACTIONS,
    USERS,
)
from pdpp_worker.connector import (
    GapToClose,
    Gone,
    Message,
    NeedsOwner,
    ProviderError,
    Reason,
    Record,
    ResourceScope,
    closed_as_absent,
    closed_by,
    still_missing,
)
from pdpp_worker.connector.json_fields import table

_IN_MESSAGES = frozenset({MESSAGES, ATTACHMENTS, REACTIONS})


class Reader(Protocol):
    """Reads single things again; every method raises ProviderError, `Gone` where there is nothing to read."""

    @property
    def rest(self) -> Rest | None:
        """The place in what is being read, where it may be gone on with later."""
        ...

    def entity(self, entity: str, locator: Obj) -> Iterator[Message]:
        """All of a channel, or of a thread (`channel:ts`)."""
        ...

    def message(self, channel: str, ts: str) -> Iterator[Message]:
        """One message with what rides on it."""
        ...

    def thing(self, stream: str, key: str) -> Iterator[Message]:
        """One channel, person or file."""
        ...

    def members(self, channel: str, locator: Obj) -> Iterator[Message]:
        """The members of a channel."""
        ...


def recover(reader: Reader, gaps: Iterable[GapToClose]) -> Iterator[Message]:
    """Try each gap: its records and the word that it is closed, or the gap again.

    Raises:
        NeedsOwner: nothing further can be asked for.
    """
    for known in gaps:
        messages = _messages_of(reader, known)
        if messages is not None:
            yield from try_gap(known, _name_of(known), messages, reader.rest)


def leave_open(error: ProviderError, gaps: Iterable[GapToClose]) -> Iterator[Message]:
    """Say of each gap that it stays, because nothing could be asked for."""
    return (still_missing(error, known, _name_of(known)) for known in gaps)


def _messages_of(reader: Reader, known: GapToClose) -> Iterator[Message] | None:
    if (entity := entity_of(known)) is not None:
        return reader.entity(entity, table(known.detail_locator))
    if not isinstance(known.scope, ResourceScope):
        return None
    key = known.scope.resource_id
    if known.stream == MEMBERSHIPS:
        return reader.members(key.partition(":")[0], table(known.detail_locator))
    if known.stream in _IN_MESSAGES:
        channel, _, rest = key.partition(":")
        return reader.message(channel, rest.partition(":")[0])
    if known.stream in (USERS, CHANNELS, CHANNEL_STATS, FILES, CANVASES):
        return reader.thing(known.stream, key.partition(":")[0])
    return None


def try_gap(known: GapToClose, key: str, messages: Iterator[Message], rest: Rest | None) -> Iterator[Message]:
    """Its records and the word that it is closed, or the gap again; the rest of it may be a gap of its own."""
    proof: Record | None = None
    try:
        for message in messages:
            if isinstance(message, Record) and _proves(message, known):
                proof = message
            yield message
    except NeedsOwner:
        raise
    except Gone:
        yield closed_as_absent(known, key)
        return
    except ProviderError as error:
        left = rest.gap(error) if rest is not None and proof is not None else None
        if left is None:
            yield still_missing(error, known, key, reason=miss_reason(error))
            return
        yield left
    if known.reason == Reason.RECORD_REJECTED:
        return  # The record's own acceptance is the proof.
    if proof is None:
        yield closed_as_absent(known, key)
    else:
        yield closed_by(proof, known)


def _proves(record: Record, known: GapToClose) -> bool:
    """Whether a record is the one that a gap is about, or is of the part that it is about."""
    if record.stream != known.stream or record.op == "delete" or record.partial:
        return False
    is_part = known.stream == MEMBERSHIPS or not isinstance(known.scope, ResourceScope)
    return is_part or record.key == _name_of(known)


def _name_of(known: GapToClose) -> str:
    return known.scope.resource_id if isinstance(known.scope, ResourceScope) else entity_of(known) or known.stream
