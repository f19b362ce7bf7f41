"""A part of a message brought to disk in pieces; a download that was cut goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from connectors.gmail import packed
from connectors.gmail.client import Answer, Fetches
from connectors.gmail.decoding import UUENCODED, undone
from connectors.gmail.errors import SilentError
from connectors.gmail.files import Files, Partial, Stored
from connectors.gmail.local.mime import Section
from connectors.gmail.rows import Mail, path_of
from connectors.gmail.source import beyond_header, has_parts
from connectors.gmail.structure import Part
from pdpp_worker.connector import StorageFull

PIECE = 1024 * 1024
"""Bytes that are asked for at once: little enough for the slowest line to bring in time."""
HEAD = 64 * 1024
"""Bytes of a file in which packed files have to begin."""
_ENCODED = 1.4
"""At most so many bytes as encoded for one of the content, line ends included."""


Ask = Callable[[str, Callable[[Fetches], dict[int, Answer]]], dict[int, Answer]]
"""Sends a command that is told by a name, and gives its answers by UID."""


class TooLargeError(Exception):
    """The part is larger than the owner wants to keep."""


class Downloads:
    """Fetches parts to files; `cap` is the most bytes that a file may have."""

    def __init__(self, ask: Ask, files: Files, cap: int) -> None:
        self._ask = ask
        self._files = files
        self._cap = cap

    def through(self, ask: Ask | None) -> Downloads:
        """The same, asking another way."""
        return self if ask is None else Downloads(ask, self._files, self._cap)

    def fetch(self, message: Mail, part: Part) -> Stored:
        """The part's content, kept as a file; it is on the disk after the next `flush`.

        Raises:
            TooLargeError: it is beyond the cap; nothing of it is kept.
            StorageFull: there is no room for it; nothing of it is kept.
            ProviderError: it could not be fetched to its end; what came is kept for the next try.
        """
        limit = self._limit(part)
        if part.size is not None and part.size > limit:
            raise TooLargeError
        partial = self._files.partial(_name(message, part))
        try:
            self._files.check_room(_room(part) - partial.size)
            is_empty = not self._complete(partial, message, part, limit)
            chunks = self._headless(message, part) if is_empty else partial.chunks()
            stored = self._files.keep(undone(chunks, part.encoding))
        except (TooLargeError, StorageFull):
            partial.discard()
            raise
        partial.discard()
        return stored

    def _complete(self, partial: Partial, message: Mail, part: Part, limit: float) -> int:
        """Fetch the pieces that are missing; returns the bytes of all."""
        offset = partial.size
        while True:
            piece = self._piece(message, part, offset)
            partial.put(offset, piece)
            offset += len(piece)
            if offset > limit:
                raise TooLargeError
            if offset < (part.size or 0):
                _check_goes_on(piece, part, offset)
            elif len(piece) < PIECE:
                return offset

    def take(self, message: Mail, part: Part, held: Section) -> tuple[Stored, dict[str, Any]]:
        """The part's content out of its message, which is held, and the fields of the files within.

        Raises:
            TooLargeError: it is beyond the cap; nothing of it is kept.
        """
        if max(part.size or 0, len(held.body)) > self._limit(part):
            raise TooLargeError
        raw = held.body or (beyond_header(held.head) if has_parts(message.head) else b"")
        content = b"".join(undone([raw], part.encoding))
        return self._files.put(content), self._within(content)

    def flush(self) -> None:
        """Bring all that was fetched to the disk, before a record names it."""
        self._files.flush()

    def head(self, stored: Stored, size: int) -> bytes:
        """The first bytes of what was fetched."""
        return self._files.head(stored, size)

    def within(self, stored: Stored) -> dict[str, Any]:
        """The fields of the files that are packed in one that was fetched; none where it is no such file."""
        if stored.size_bytes > packed.LARGEST or not packed.may_hold_files(self._files.head(stored, HEAD)):
            return {}
        return self._within(self._files.head(stored, stored.size_bytes))

    def _within(self, content: bytes) -> dict[str, Any]:
        if len(content) > packed.LARGEST or not packed.may_hold_files(content[:HEAD]):
            return {}
        kind = packed.packed_as(content)
        return {"packed_as": kind, "files_within": self.unpacked(content)} if kind else {}

    def _limit(self, part: Part) -> float:
        return self._cap * _as_encoded(part)

    def unpacked(self, content: bytes) -> list[dict[str, Any]]:
        """The files that are packed in content, kept as files."""
        return [
            {"filename": one.filename, **self._files.put(one.content).as_json()} for one in packed.unpacked(content)
        ]

    def _headless(self, message: Mail, part: Part) -> Iterator[bytes]:
        """The content of a part that is empty by its structure: it may stand in the part's header, by mistake."""
        if not has_parts(message.head):
            return
        item = f"BODY.PEEK[{part.path}.MIME]"
        answers = self._ask("FETCH of a header", lambda client: client.fetch_by_uid(str(message.uid), [item]))
        block = answers.get(message.uid, {}).get(f"BODY[{part.path}.MIME]")
        yield beyond_header(block) if isinstance(block, bytes) else b""

    def _piece(self, message: Mail, part: Part, offset: int) -> bytes:
        item = f"{path_of(part)}<{offset}.{PIECE}>"
        label = f"FETCH of part {part.path}"
        answers = self._ask(label, lambda client: client.fetch_by_uid(str(message.uid), [item]))
        answer = answers.get(message.uid)
        if answer is None:
            raise SilentError("the server told nothing of the message")
        return content(answer, part, offset)[:PIECE]


def _as_encoded(part: Part) -> float:
    return _ENCODED if part.encoding in {"base64", *UUENCODED} else 1.0


def _room(part: Part) -> int:
    """Bytes that a part takes while it is fetched, at least: as encoded, and decoded."""
    size = part.size or 0
    return size + int(size / _as_encoded(part))


def _name(message: Mail, part: Part) -> str:
    """The name of a download: no other message has it, not even one that is handed the same UID."""
    box = message.box
    place = f"{box.name}/{box.uidvalidity}/{message.uid}/{part.path}"
    return f"{place}/{message.face}/{message.row['message_id']}/{message.key}"


def _check_goes_on(piece: bytes, part: Part, offset: int) -> None:
    """Refuse an end before the size that the server itself told.

    Raises:
        ShapeError: nothing more came.
    """
    if not piece:
        raise SilentError(f"the server sent {offset} of the {part.size} bytes of part {part.path} and then nothing")


def content(answer: Answer, part: Part, offset: int = 0) -> bytes:
    """The bytes of a part from `offset`; a server may send the whole part where a piece was asked for.

    Raises:
        ShapeError: the answer holds nothing of it, although there is something.
    """
    name = f"BODY[{part.path}]"
    if isinstance(piece := answer.get(f"{name}<{offset}>"), bytes | int):
        return _raw(piece)
    if isinstance(whole := answer.get(name), bytes | int):
        return _raw(whole)[offset:]
    if (f"{name}<{offset}>" in answer or name in answer) and (offset or not part.size):
        return b""
    raise SilentError("the server told nothing of the part")


def _raw(value: bytes | int) -> bytes:
    """A quoted string of digits reads as a number."""
    return value if isinstance(value, bytes) else str(value).encode()
