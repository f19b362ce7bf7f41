"""The form in which a child sends its messages: msgpack, in which each value and its type come through unchanged.

A record is checked and encoded by the child, and goes as the row that is stored. A message of another kind goes by its
name and its fields, and so does a record that is to be refused or whose row is very large. Values that msgpack does not
know have a form of their own there: a lone surrogate, an integer of more than 64 bits, a number of more digits than a
float holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, get_args

import msgspec
from msgspec.msgpack import Ext
from pydantic import BaseModel

from pdpp_worker.protocol.messages import EncodedRecord, LongRecord, LongState, Message, Record, WrittenRecord
from pdpp_worker.protocol.messages.sent import Told

Carried = EncodedRecord | bytes
"""A message as it is decoded at first: an encoded record, or the name and fields of another message."""
Packed = tuple[object, ...] | bytes
"""The same before it is encoded, with its neighbours, as msgpack."""
LARGEST_ROW = 128 * 1024 * 1024
"""Bytes of a row that is made by the child; a text of NUL characters takes fifteen times its own in one."""
_DEEPEST = 800
"""Levels of a value that come through."""
_TEXT, _INTEGER, _NUMBER, _PAIRS, _STRANGE = range(1, 6)
_INTEGERS = range(-(1 << 63), 1 << 64)

_encode = msgspec.msgpack.Encoder().encode


class Form(msgspec.Struct, array_like=True, frozen=True):
    """The form of a stream's records: their JSON Schema, and the field that orders versions of one."""

    schema: dict[str, Any]
    cursor_field: str | None


Write = Callable[[Record], WrittenRecord]
"""Makes what an `EncodedRecord` of one stream holds more; a ValueError or RecursionError where that is refused."""


class Strange:
    """A value that JSON does not know, such as a set: it is refused here as it would be where it was made."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


def carry(message: Message, writers: Mapping[str, Write]) -> tuple[Packed, int]:
    """A message to be encoded as msgpack, and its bytes, about; a record is one where its stream has a writer."""
    if type(message) is Record and (write := writers.get(message.stream)) is not None and _is_ascii(message.key):
        try:
            written = write(message)
        except (ValueError, RecursionError):
            pass
        else:
            size = len(written[0]) + len(written[1] or b"") + len(written[2] or b"")
            if size <= LARGEST_ROW:
                return (*_known(message), *written), size
    packed = _encode((type(message).__name__, _value(_fields(message), 0)))
    return packed, len(packed)


def arrived(carried: Carried) -> Message:
    """The message that was sent.

    Raises:
        ValueError: it is none.
    """
    if isinstance(carried, EncodedRecord):
        return carried
    name, fields = _read_fields(carried)
    kind = _KINDS.get(name)
    if kind is None:
        raise ValueError("a message of no known kind")
    message: Message = kind.model_validate(fields) if issubclass(kind, BaseModel) else kind(**fields)
    return message


def _known(record: Record) -> tuple[object, ...]:
    """The fields of an encoded record that it shares with every other one."""
    return record.stream, record.key, {}, record.emitted_at, record.op, record.partial, record.ground, record.type


def _fields(message: Any) -> dict[str, Any]:
    if isinstance(message, Record):
        return {name: value for name, value in message.model_dump().items() if name != "type"}
    if type(message).__name__ not in _KINDS:
        raise TypeError(f"{type(message).__name__} is no message")
    fields: dict[str, Any] = message.model_dump(exclude_unset=True, by_alias=True)
    return fields


def _is_ascii(key: str | list[str]) -> bool:
    """Whether msgpack surely carries a key as it is."""
    return key.isascii() if type(key) is str else all(map(str.isascii, key))


def _value(value: Any, depth: int) -> Any:
    """The value with an extension in place of each part that msgpack refuses or changes.

    Loops, since a comprehension in it would be a level more of Python's own for each of the value's.
    """
    if not isinstance(value, dict | list | tuple):
        return _leaf(value)
    if depth >= _DEEPEST:
        return Ext(_STRANGE, b"(nested too deeply)")
    parts = []
    if not isinstance(value, dict):
        for one in value:
            parts.append(_value(one, depth + 1))  # noqa: PERF401
        return parts
    for name, one in value.items():
        parts.append((_leaf(name), _value(one, depth + 1)))
    return dict(parts) if all(type(name) is str for name, _ in parts) else Ext(_PAIRS, _encode(parts))


def _leaf(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value if _is_utf8(value) else Ext(_TEXT, value.encode(errors="surrogatepass"))
    if type(value) is int and value not in _INTEGERS:
        return Ext(_INTEGER, hex(value).encode())
    if isinstance(value, Decimal):
        return Ext(_NUMBER, str(value).encode())
    if value is None or isinstance(value, int | float | datetime):
        return value
    return Ext(_STRANGE, repr(value).encode(errors="backslashreplace"))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _extension(code: int, raw: memoryview) -> Any:
    if code == _PAIRS:
        return dict(_read_pairs(raw))
    text = bytes(raw).decode(errors="surrogatepass")
    if code == _INTEGER:
        return int(text, 16)
    if code == _NUMBER:
        return Decimal(text)
    return text if code == _TEXT else Strange(text)


_read_pairs = msgspec.msgpack.Decoder(list[tuple[Any, Any]], ext_hook=_extension).decode
_read_fields = msgspec.msgpack.Decoder(tuple[str, dict[str, Any]], ext_hook=_extension).decode
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Record, LongRecord, LongState, *get_args(Told))}
