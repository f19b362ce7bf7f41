"""JSON that stays the bytes it is, until a part of it is needed.

Python gives a text with a single emoji four bytes for each of its letters, so that a large answer would take several
times its size if it were decoded whole. Here the parts are found by their brackets and quotes, and decoded one by one.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import islice
from typing import Any

from msgspec import DecodeError, Raw, ValidationError
from msgspec.json import Decoder

from pdpp_worker.connector import is_crowded

_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]*")
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_WHOLE_TEXT = re.compile(_TEXT, re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:%s[^"{}\[\]]*+)*+(?:([{}\[\]])|"|\Z)' % _TEXT, re.DOTALL)
"""Everything up to the next bracket; without one, a text or the data end before it."""
_HEAD = re.compile(rb'\{[ \t\r\n]*"[^"\\]{1,64}"[ \t\r\n]*:')
_SEAM = rb"\}[ \t\r\n]*,[ \t\r\n]*"
_TRIES = 4
"""Places that may be the end of an object, of which each is tried."""
_read = Decoder().decode
_pass_over = Decoder(Raw).decode
_read_values = Decoder(dict[str, Raw]).decode
_ODD = (DecodeError, ValidationError, UnicodeDecodeError, RecursionError)
"""Failures of the fast decoder: the JSON is broken, or holds what only the standard one reads."""

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
    with suppress(*_ODD):
        return _read(raw)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BrokenJsonError(type(error).__name__) from None


def begin(data: bytes | bytearray, at: int) -> int:
    """The index of the next byte that is no space."""
    return _SPACE.match(data, at).end()  # type: ignore[union-attr]


def end(data: bytes | bytearray, at: int) -> int | None:
    """The index after the value that begins at `at`, None if it ends beyond the data; its content is not checked."""
    first = data[at : at + 1]
    if first == b'"':
        found = _WHOLE_TEXT.match(data, at)
        return found.end() if found else None
    if first not in _OPENS:
        stop = _SCALAR.match(data, at).end()  # type: ignore[union-attr]
        return stop if stop < len(data) else None
    depth = 0
    for token in _TO_BRACKET.finditer(data, at):
        if (mark := token[1]) is None:
            break
        depth += 1 if mark in _OPENS else -1
        if depth == 0:
            return token.end()
    return None


def end_before_alike(data: bytearray, at: int) -> int | None:
    """The same for an object that another one follows whose first name is the same; None where that is not sure.

    Looks for the beginning of the next one, and whether what lies before it is whole JSON: much quicker than brackets.
    """
    if (head := _HEAD.match(data, at)) is None:
        return None
    with memoryview(data) as view:
        for seam in islice(re.compile(_SEAM + re.escape(head[0])).finditer(data, at), _TRIES):
            stop = seam.start() + 1
            with suppress(*_ODD):
                _pass_over(view[at:stop])
                return stop
    return None


def has_each_name_once(raw: bytes) -> bool:
    """Whether no name stands twice in an object, in which the one would hide the other; False where that is not sure.

    The values that are left hold commas, and between their pairs there is one each: another one tells of a lost pair,
    or stands in a name.
    """
    if (values := _values(raw)) is None:
        return False
    return raw.count(b",") == b"".join(values.values()).count(b",") + max(0, len(values) - 1)


def member(raw: bytes, name: str) -> bytes:
    """A value of an object, as the bytes that it is; empty where that is not sure."""
    return bytes((_values(raw) or {}).get(name, b""))


def _values(raw: bytes) -> dict[str, Raw] | None:
    try:
        return _read_values(raw)
    except _ODD:
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
