"""JSON that stays the bytes it is, until a part of it is needed.

Python gives a text with a single emoji four bytes for each of its letters, so that a large answer would take several
times its size if it were decoded whole. Here the parts are found by their brackets and quotes, and decoded one by one.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import orjson

_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]*")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[{}\[\]]', re.DOTALL)
"""A text, with its closing quote if that is there, or a bracket."""
_LONG_NUMBER = re.compile(rb"\d{19}")
"""May be an integer that the fast decoder rounds."""

MOST_VALUES = 2_000_000
"""Values of one document that are decoded; each may take some hundred bytes of memory."""
_CROWDED_FREE_BYTES = 4 * 1024 * 1024
_MARKS = (b"{", b"[", b",")


class BrokenJsonError(Exception):
    """The bytes are not the JSON that they should be."""


def decode(raw: bytes) -> Any:
    """The value, as the standard decoder reads it: half surrogate pairs, NaN and integers of any length are kept.

    Raises:
        BrokenJsonError: this is no JSON, or more of it than memory can hold.
    """
    if len(raw) > _CROWDED_FREE_BYTES and sum(map(raw.count, _MARKS)) > MOST_VALUES:
        raise BrokenJsonError(f"it holds more than {MOST_VALUES} values")
    if not _LONG_NUMBER.search(raw):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(raw)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BrokenJsonError(type(error).__name__) from None


def begin(data: bytes | bytearray, at: int) -> int:
    """The index of the next byte that is no space."""
    return _SPACE.match(data, at).end()  # type: ignore[union-attr]


def end(data: bytes | bytearray, at: int) -> int | None:
    """The index after the value that begins at `at`, None if it ends beyond the data; its content is not checked."""
    if data[at : at + 1] not in (b'"', b"{", b"["):
        found = _SCALAR.match(data, at).end()  # type: ignore[union-attr]
        return found if found < len(data) else None
    depth = 0
    for token in _TOKEN.finditer(data, at):
        kind = data[token.start()]
        if kind in b"{[":
            depth += 1
        elif kind in b"}]":
            depth -= 1
        elif not token[1]:
            return None
        if depth == 0:
            return token.end()
    return None


def members(data: bytes, at: int) -> tuple[dict[str, slice], int]:
    """The object that begins at `at`: where the value of each key lies, and where the object ends.

    Raises:
        BrokenJsonError: this is no object.
    """
    found, stop = pairs(data, at)
    return dict(found), stop


def pairs(data: bytes, at: int) -> tuple[list[tuple[str, slice]], int]:
    """The same with keys that stand in it more than once."""
    found: list[tuple[str, slice]] = []
    at = begin(data, _past(data, at, b"{"))
    while data[at : at + 1] != b"}":
        if found:
            at = begin(data, _past(data, at, b","))
        if data[at : at + 1] != b'"':
            raise BrokenJsonError("expected a key")
        key, at = _value(data, at)
        value, at = _value(data, begin(data, _past(data, begin(data, at), b":")))
        found.append((decode(data[key]), value))
        at = begin(data, at)
    return found, at + 1


def _value(data: bytes, at: int) -> tuple[slice, int]:
    stop = end(data, at)
    if stop is None:
        raise BrokenJsonError("it ends too early")
    return slice(at, stop), stop


def _past(data: bytes, at: int, mark: bytes) -> int:
    if data[at : at + 1] != mark:
        raise BrokenJsonError(f"expected {mark.decode()!r}")
    return at + 1
