"""Takes the whole records out of a line that is not one record.

A writer that dies leaves the beginning of a record, and the next one writes behind it; two writers at once put two
records on one line; a machine that loses power leaves NULs.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

_EMPTY = " \t\r\n\0\ufeff"
_TRIES = 64
"""Most places of a line at which a record is looked for."""
_MARKS = frozenset({"uuid", "sessionId", "leafUuid", "messageId", "timestamp"})


class Part(NamedTuple):
    """A whole record within a line: its first byte, the byte after its last, and what it holds."""

    start: int
    end: int
    value: dict[str, Any]


def take_apart(data: bytes) -> tuple[list[Part], bool]:
    """The whole records of a line, and whether something else is left between them."""
    text = data.decode("utf-8", "surrogateescape")
    found: list[tuple[int, int, dict[str, Any]]] = []
    at, has_stub, after_stub = 0, False, False
    for _ in range(_TRIES):
        at = _next_place(text, at)
        if at == len(text):
            return _in_bytes(text, found), has_stub or not found
        record = _record_at(text, at)
        if record is not None and (not after_stub or _is_of_its_own(text, *record)):
            found.append((at, *record))
            at, after_stub = record[0], False
            continue
        has_stub = after_stub = True
        at = text.find('{"', at + 1)
        if at < 0:
            break
    return _in_bytes(text, found), True


def _next_place(text: str, at: int) -> int:
    while at < len(text) and text[at] in _EMPTY:
        at += 1
    return at


def _record_at(text: str, at: int) -> tuple[int, dict[str, Any]] | None:
    if text[at] != "{":
        return None
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return (end, value) if isinstance(value, dict) else None


def _is_of_its_own(text: str, end: int, value: dict[str, Any]) -> bool:
    """Whether an object behind the beginning of a record is the next record, and not a part of the broken one."""
    after = _next_place(text, end)
    return "type" in value and not _MARKS.isdisjoint(value) and (after == len(text) or text[after] == "{")


def _in_bytes(text: str, found: list[tuple[int, int, dict[str, Any]]]) -> list[Part]:
    parts, place, seen = [], 0, 0
    for start, end, value in found:
        begin = place + _width(text[seen:start])
        place, seen = begin + _width(text[start:end]), end
        parts.append(Part(begin, place, value))
    return parts


def _width(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
