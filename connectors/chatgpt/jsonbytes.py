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

from pdpp_worker.connector import is_crowded

_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]*")
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_WHOLE_TEXT = re.compile(_TEXT, re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:%s[^"{}\[\]]*+)*+(?:([{}\[\]])|"|\Z)' % _TEXT, re.DOTALL)
"""Everything up to the next bracket; without one, a text or the data end before it."""
_LONG_NUMBER = re.compile(rb"\d{19}")
"""May be an integer that the fast decoder rounds."""

_OPENS = (b"{", b"[")


class BrokenJsonError(Exception):
    """The bytes are not the JSON that they should be."""


def decode(raw: bytes) -> Any:
    """The value, as the standard decoder reads it: half surrogate pairs, NaN and integers of any length are kept.

    Raises:
        BrokenJsonError: this is no JSON, or more of it than memory can hold.
    """
    if is_crowded(raw):
        raise BrokenJsonError("it holds more values than memory can hold")
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
    return extent(data, at)[0]


def extent(data: bytes | bytearray, at: int, level: int = 0) -> tuple[int | None, int]:
    """The same, and how many lists and objects begin in it so many levels deep."""
    first, count = data[at : at + 1], 0
    if first == b'"':
        found = _WHOLE_TEXT.match(data, at)
        return (found.end() if found else None), count
    if first not in _OPENS:
        stop = _SCALAR.match(data, at).end()  # type: ignore[union-attr]
        return (stop if stop < len(data) else None), count
    depth = 0
    for token in _TO_BRACKET.finditer(data, at):
        if (mark := token[1]) is None:
            break
        if mark in _OPENS:
            depth += 1
            count += depth == level
        else:
            depth -= 1
            if depth == 0:
                return token.end(), count
    return None, count


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
