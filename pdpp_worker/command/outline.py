"""Keeps the short members of a JSON object whose line is too long to be read, so that its record can be named."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import LongRecord, LongState, RecordForm, describe

MEMBER_BYTES = 16 * 1024
"""Longest member that is kept: a key and its value."""

_MARK = re.compile(rb'\\.|["{}\[\],]', re.DOTALL)


class Outline:
    """Reads a line in chunks, with its members in any order; members that are too long are not held."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of the line so far."""
        self.members: dict[str, Any] = {}
        self._member = bytearray()
        self._depth = 0
        self._quoted = False
        self._cut = b""

    def feed(self, chunk: bytes) -> None:
        """Read the next chunk of the line."""
        self.size += len(chunk)
        chunk, at = self._cut + chunk, 0
        self._cut = b"\\" if chunk.endswith(b"\\") and (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 else b""
        chunk = chunk.removesuffix(self._cut)
        for found in _MARK.finditer(chunk):
            mark = found.group()
            if mark == b'"':
                self._quoted = not self._quoted
            elif not self._quoted and self._is_border(mark):
                self._keep(chunk[at : found.start()])
                self._close()
                at = found.end()
        self._keep(chunk[at:])

    def message(self, limit: int) -> LongRecord | LongState:
        """The message, without the member that made it too long.

        Raises:
            ProtocolViolation: it has no name, or is of a type that is never long.
        """
        text = f"the command wrote a line of {self.size} bytes; at most {limit} are read"
        kind = self.members.get("type")
        if kind not in ("RECORD", "STATE"):
            raise ProtocolViolation(f"{text}, and it is neither a RECORD nor a STATE")
        try:
            if kind == "STATE":
                return LongState.model_validate({"cursor": None, **self.members, "line_bytes": self.size})
            form = RecordForm.model_validate({"data": {}, **self.members})
            return LongRecord(**dict(form), line_bytes=self.size)
        except ValidationError as error:
            raise ProtocolViolation(f"{text}, and which one it is cannot be told: {describe(error)}") from None

    def _is_border(self, mark: bytes) -> bool:
        """Whether a member of the outermost object ends, or the first one begins, at this mark outside of any text."""
        before = self._depth
        self._depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(mark, 0)
        return min(before, self._depth) == 0 or (before == 1 and mark == b",")

    def _keep(self, part: bytes) -> None:
        self._member += part[: MEMBER_BYTES + 1 - len(self._member)]

    def _close(self) -> None:
        if len(self._member) <= MEMBER_BYTES:
            with suppress(ValueError, RecursionError):
                self.members.update(json.loads(b"{" + self._member + b"}"))
        self._member.clear()
