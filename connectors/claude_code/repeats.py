"""Tells lines of one transcript apart that stand under one uuid.

The first keeps the plain key; another one with other bytes gets a digest of them in its key; one with the same bytes
is the same record. A uuid is remembered for one or two spans of the file after its first line, so memory and cursor
stay as they are however long the file is; what a run remembers is read back from the file itself. Of a first line only
its place is kept, and it is read again where its uuid comes again: nearly no uuid does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple

from connectors.claude_code.shapes import is_message

SPAN_BYTES = 512 * 1024
_DIGEST_BYTES = 8
_SPARE_BYTES = 64
"""Most white space before a record that is read again."""


class Good(NamedTuple):
    """A line that is a JSON object."""

    line: dict[str, Any]
    offset: int
    raw: bytes
    is_turn: bool
    """Whether it is a turn of the conversation."""
    mark: str = ""
    """The difference from an earlier line of the same uuid."""
    is_copy: bool = False
    """Whether the same bytes stood there before."""


_good: Callable[[tuple[dict[str, Any], int, bytes, bool, str, bool]], Good] = partial(tuple.__new__, Good)
"""Makes one without a call of Python's own, of which there would be one for each line."""


def good_of(line: dict[str, Any], offset: int, raw: bytes) -> Good:
    """A line that nothing stood before."""
    return _good((line, offset, raw, is_message(line), "", False))


class Repeats:
    """The uuids of the lines before."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file.fileno()
        self._span = -1
        self._before: dict[str, int] = {}
        """The first line's place of each uuid, in the span before; `_now`: in this one."""
        self._now: dict[str, int] = {}
        self._variants: dict[str, dict[bytes, str]] = {}
        """The other contents of a uuid, with their marks."""

    def place(self, good: Good) -> Good:
        """The same line with its mark."""
        uuid, offset = good.line.get("uuid"), good.offset
        if not isinstance(uuid, str):
            return good
        if offset // SPAN_BYTES != self._span:
            self._move_to(offset // SPAN_BYTES)
        first = self._now.setdefault(uuid, offset)
        if first == offset and uuid not in self._before:
            return good
        return self._again(good, uuid, first)

    def knows(self, uuid: str) -> bool:
        """Whether a line of this uuid stood shortly before."""
        return uuid in self._now or uuid in self._before

    def _again(self, good: Good, uuid: str, first: int) -> Good:
        if uuid in self._before:
            first = self._before[uuid]
            del self._now[uuid]
        content = good.raw.strip()
        if os.pread(self._file, len(content) + _SPARE_BYTES, first).lstrip().startswith(content):
            return good._replace(is_copy=True)
        variants = self._variants.setdefault(uuid, {})
        is_copy = content in variants
        mark = variants.setdefault(content, f"~{blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()}")
        return good._replace(mark=mark, is_copy=is_copy)

    def _move_to(self, span: int) -> None:
        self._before = self._now if span == self._span + 1 else {}
        self._now, self._span = {}, span
        self._variants = {uuid: variants for uuid, variants in self._variants.items() if uuid in self._before}
