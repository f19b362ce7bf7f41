"""The messages read of a mailbox: one small entry each, in packed blocks, so that a cursor can hold a whole account.

An entry is enough to name the message's records when the server no longer has it.
"""

from __future__ import annotations

import base64
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

BLOCK = 2000
"""Entries in a full block."""


class MessageEntry(NamedTuple):
    """One message that was read."""

    uid: int
    gm: int
    """X-GM-MSGID; 0 elsewhere."""
    attachments: int
    """The number of its attachments."""
    mark: int
    """A checksum of its flags; 0 where the server says itself what changed."""


class Block(NamedTuple):
    """Entries that stand together, packed: base64 of zlib of varints."""

    first: int
    last: int
    length: int
    packed: str


class Ledger:
    """The entries of one mailbox, ascending by UID."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self._blocks = list(blocks)

    @classmethod
    def from_json(cls, value: Any) -> Ledger:
        """Read what `as_json` wrote."""
        return cls(Block(*one) for one in value or [])

    def as_json(self) -> list[list[Any]]:
        """The blocks, as JSON carries them."""
        return [list(block) for block in self._blocks]

    def __len__(self) -> int:
        return sum(block.length for block in self._blocks)

    @property
    def size(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[MessageEntry]:
        """The entries of the blocks from `first` up to, not including, `last`."""
        for block in self._blocks[first:last]:
            yield from unpack(block)

    def between(self, first: int, last: int) -> Iterator[MessageEntry]:
        """The entries with UIDs from `first` up to and including `last`."""
        blocks = [block for block in self._blocks if block.first <= last and block.last >= first]
        return (entry for block in blocks for entry in unpack(block) if first <= entry.uid <= last)

    def uids(self, first: int, last: int) -> set[int]:
        """The UIDs from `first` up to and including `last`; a block without a hole is not unpacked for them."""
        blocks = [block for block in self._blocks if block.first <= last and block.last >= first]
        return {uid for block in blocks for uid in _uids(block) if first <= uid <= last}

    def span(self, first: int, last: int) -> str:
        """The UIDs of the blocks from `first` up to, not including, `last`, as one range."""
        chosen = self._blocks[first:last]
        return f"{chosen[0].first}:{chosen[-1].last}"

    def add(self, entries: Iterable[MessageEntry]) -> None:
        """Insert entries in order; one with the same UID is replaced."""
        by_block: dict[int, dict[int, MessageEntry]] = {}
        for entry in entries:
            by_block.setdefault(self._block_of(entry.uid), {})[entry.uid] = entry
        for index in sorted(by_block, reverse=True):
            held = {entry.uid: entry for entry in unpack(self._blocks[index])} if index < len(self._blocks) else {}
            self._put(index, {**held, **by_block[index]})

    def drop(self, uids: Iterable[int]) -> None:
        """Forget messages."""
        by_block: dict[int, set[int]] = {}
        for uid in uids if self._blocks else ():
            by_block.setdefault(self._block_of(uid), set()).add(uid)
        for index in sorted(by_block, reverse=True):
            kept = {one.uid: one for one in unpack(self._blocks[index]) if one.uid not in by_block[index]}
            self._put(index, kept)

    def _block_of(self, uid: int) -> int:
        return max(0, bisect_right(self._blocks, uid, key=lambda block: block.first) - 1)

    def _put(self, index: int, entries: dict[int, MessageEntry]) -> None:
        ordered = [entries[uid] for uid in sorted(entries)]
        parts = [ordered[at : at + BLOCK] for at in range(0, len(ordered), BLOCK)]
        self._blocks[index : index + 1] = [pack(part) for part in parts]


def pack(entries: list[MessageEntry]) -> Block:
    """A block of ascending entries; each number is told as the difference to the one before it."""
    body = bytearray()
    uid = gm = 0
    for entry in entries:
        _write(body, entry.uid - uid)
        _write(body, _folded(entry.gm - gm))
        _write(body, entry.attachments)
        _write(body, entry.mark)
        uid, gm = entry.uid, entry.gm
    packed = base64.b64encode(zlib.compress(bytes(body), 6)).decode()
    return Block(entries[0].uid, entries[-1].uid, len(entries), packed)


def unpack(block: Block) -> Iterator[MessageEntry]:
    """The entries of a block."""
    numbers = _read(zlib.decompress(base64.b64decode(block.packed)))
    uid = gm = 0
    for _ in range(block.length):
        uid += next(numbers)
        gm += _unfolded(next(numbers))
        yield MessageEntry(uid, gm, next(numbers), next(numbers))


def _uids(block: Block) -> Iterable[int]:
    is_dense = block.last - block.first == block.length - 1
    return range(block.first, block.last + 1) if is_dense else (entry.uid for entry in unpack(block))


def _folded(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _unfolded(number: int) -> int:
    return number // 2 if number % 2 == 0 else -(number // 2) - 1


def _write(body: bytearray, number: int) -> None:
    while number > 0x7F:
        body.append(number & 0x7F | 0x80)
        number >>= 7
    body.append(number)


def _read(body: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in body:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
