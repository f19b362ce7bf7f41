"""Translates a connector's data into what PostgreSQL can hold, without losing a character.

`jsonb` refuses U+0000 and lone surrogates; where a record holds such text, `jsonb` gets U+FFFD in their place, so that
the record can be queried. It also turns a float such as 1e23 into an integer, and -0.0 into 0.0. In all of these cases
the exact JSON is kept beside it in `raw`, so that nothing is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from math import copysign
from typing import Any, NamedTuple

import orjson

from pdpp_worker.protocol.numbers import as_float, as_written

KEY_BYTES = 1024
"""Longest key, bytes of UTF-8; PostgreSQL's index rows end at about 2,700."""

BINARY_BYTES = 250_000_000
"""Largest record as `jsonb`, which ends at 256 MiB."""
LONG_TEXT, _ITEM_BYTES = 16_000_000, 12
"""A text below this many bytes always fits; an item of a list takes about so many bytes more than its text."""

DIGEST_BYTES = 16
"""Length of the digest of a record's content."""
_SHORT_BYTES = 65_536
"""A text of up to so many bytes is copied into memory of its own: orjson's are the beginning of 4 KiB or more, whose
rest would stay unused beside each text that is kept."""
_dumps, _SORTED = orjson.dumps, orjson.OPT_SORT_KEYS
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_UNSTORABLE_JSON = re.compile(r"(?<!\\)((?:\\\\)*)((?:\\u0000)++)|[\ud800-\udfff]+")
"""Several of the same in JSON text, where U+0000 is an escape; a backslash before it would make it six plain
characters."""
_REWRITTEN = re.compile(rb"[:,[](?:-?[\d.]+[eE]\+?\d|-0\.0)")
"""Numbers that `jsonb` writes in another way (and, harmlessly, text that looks like one)."""
_LARGE = 1e16
"""From here on, floats are written with exponents."""
_SIMPLE = frozenset({str, int, bool, type(None), Decimal})
_plain = json.JSONEncoder(
    default=as_float, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode
_ascii = json.JSONEncoder(
    default=as_float, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode


class NotRepresentableError(ValueError):
    """The value has no JSON form: NaN, bytes, a set, an integer of thousands of digits, too deep a nesting."""


class Encoded(NamedTuple):
    """A record's data in canonical JSON (UTF-8), ready for `jsonb`; `raw` holds the exact form where the two differ."""

    text: bytes
    raw: bytes | None
    digest: bytes


Written = tuple[bytes, bytes | None, bytes | None]
"""The text and the raw form of an `Encoded`, and what its digest is of where that is not the text."""


def encode(data: Any) -> Encoded:
    """Encode a record's data.

    Raises:
        NotRepresentableError: JSON cannot carry the data.
    """
    text, raw, exact = write(data)
    return Encoded(text, raw, digest_of(text if exact is None else exact))


def digest_of(exact: bytes) -> bytes:
    """The digest by which contents are compared."""
    return blake2b(exact, digest_size=DIGEST_BYTES).digest()


def write(data: Any) -> Written:
    """Encode a record's data, without the digest.

    Raises:
        NotRepresentableError: JSON cannot carry the data.
    """
    try:
        quick = _dumps(data, as_written, _SORTED)
    except orjson.JSONEncodeError:
        return _write_with_care(data)
    if quick.rfind(b"\\u0000") >= 0 or not _is_plain(data):
        return _write_with_care(data)
    return (quick if len(quick) > _SHORT_BYTES else b"".join((quick, b""))), None, None


def _write_with_care(data: Any) -> Written:
    """Encode data that hold something odd, or may."""
    text = _write(_plain, data)
    if "\\u0000" not in text:
        try:
            exact = text.encode()
            return exact, exact if _REWRITTEN.search(exact) else None, None
        except UnicodeEncodeError:
            pass
    exact = _write(_ascii, data).encode()
    fitting = _fit(text)
    keeps = fitting == text and not _REWRITTEN.search(text.encode(errors="surrogatepass"))
    return fitting.encode(), None if keeps else exact, exact


def check_size(text: bytes) -> None:
    """Refuse what `jsonb` cannot hold, before it fails a whole batch.

    Raises:
        NotRepresentableError: the record is too large.
    """
    if len(text) > LONG_TEXT and len(text) + _ITEM_BYTES * text.count(b",") > BINARY_BYTES:
        raise NotRepresentableError(f"its JSON has {len(text)} bytes, more than the database holds in one record")


def exact_json(value: Any) -> str:
    """The value as ASCII JSON that reads back to exactly the same value.

    Raises:
        NotRepresentableError: JSON cannot carry the value.
    """
    return _write(_ascii, value)


def storable(value: Any) -> Any:
    """The value with U+FFFD in place of every character that PostgreSQL cannot hold."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("�", value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def storable_json(value: Any) -> str:
    """The value as JSON text that `jsonb` takes.

    Raises:
        NotRepresentableError: JSON cannot carry the value.
    """
    return _fit(_write(_plain, value))


def representable(value: Any) -> Any:
    """The value with None in place of each part that JSON cannot carry; None where it is nested too deeply."""
    with suppress(NotRepresentableError):
        storable_json(value)
        return value
    with suppress(NotRepresentableError, RecursionError):
        kept = _representable_parts(value)
        storable_json(kept)
        return kept
    return None


def _representable_parts(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _representable_parts(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_representable_parts(each) for each in value]
    with suppress(NotRepresentableError):
        storable_json(value)
        return value
    return None


def key_text(key: str | list[str]) -> str:
    """A record's key as one text: different keys never share one.

    A plain string stands for itself; a list, and a string that could be taken for one or that PostgreSQL cannot hold,
    stands as its JSON.

    Raises:
        NotRepresentableError: the key is longer than `KEY_BYTES`.
    """
    if type(key) is str and len(key) <= KEY_BYTES and key.isascii() and key[0] not in '["' and "\0" not in key:
        return key
    plain = isinstance(key, str) and key[0] not in '["' and not _UNSTORABLE.search(key)
    text = key if plain and isinstance(key, str) else _key_json(key)
    if len(text) > KEY_BYTES // 4 and len(text.encode()) > KEY_BYTES:
        raise NotRepresentableError(f"the key is longer than {KEY_BYTES} bytes")
    return text


def _key_json(key: str | list[str]) -> str:
    """A key as `exact_json` writes it, without the encoder that any value needs."""
    return encode_basestring_ascii(key) if isinstance(key, str) else f"[{','.join(map(encode_basestring_ascii, key))}]"


def raw_form(value: Any) -> bytes:
    """A rejected value as evidence: its JSON if it has one, else the JSON nearest to it."""
    try:
        return exact_json(value).encode()
    except NotRepresentableError:
        pass
    try:
        return json.dumps(value, default=repr, skipkeys=True).encode()
    except (ValueError, RecursionError) as error:
        return f"({_why(error)})".encode()


def _is_plain(data: Any) -> bool:
    """Whether data that orjson took holds neither what it changes nor a number that `jsonb` writes in another way.

    orjson writes NaN as null, and dates, UUIDs and members of enumerations as text.
    """
    if type(data) is not dict:
        return False
    holders: list[Any] = [data]
    for holder in holders:
        for value in holder.values() if type(holder) is dict else holder:
            kind = type(value)
            if kind in _SIMPLE:
                continue
            if kind is dict or kind is list:
                holders.append(value)
            elif kind is not float or not -_LARGE < value < _LARGE or (value == 0 and copysign(1, value) < 0):
                return False
    return True


def _write(encode_json: Callable[[Any], str], value: Any) -> str:
    try:
        return encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotRepresentableError(_why(error)) from None


def _fit(text: str) -> str:
    """JSON text with U+FFFD in place of every character that `jsonb` cannot hold; of any depth."""
    return _UNSTORABLE_JSON.sub(_fitting, text)


def _fitting(found: re.Match[str]) -> str:
    before, zeros = found.groups()
    return "�" * len(found[0]) if zeros is None else before + "�" * (len(zeros) // len(r"\u0000"))


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error) or type(error).__name__
