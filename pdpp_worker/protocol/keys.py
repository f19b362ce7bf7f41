"""One form for each key of a record, so that the same key is known wherever it is named."""

from __future__ import annotations

import json
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from pdpp_worker.protocol.numbers import MOST_DIGITS

_COULD_BE_JSON = frozenset('["')
_BITS_OF_A_DIGIT = 3.33


def _not_empty(text: str) -> str:
    # Not as a minimal length, for which pydantic refuses names of files that are no UTF-8.
    if not text:
        raise ValueError("String should have at least 1 character")
    return text


def _writable(value: Any) -> Any:
    """Refuse a number that has no text of its own: all infinities would be one key, and one of 10,000 digits none."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("a number as a key is finite")
    if isinstance(value, int) and value.bit_length() > MOST_DIGITS * _BITS_OF_A_DIGIT:
        raise ValueError(f"a number as a key has at most {MOST_DIGITS} digits")
    return value


KeyText = Annotated[str, Field(coerce_numbers_to_str=True), BeforeValidator(_writable)]
"""A key or a part of one. A number in JSON, as of a platform that counts, is the text of it."""
ItemName = Annotated[KeyText, AfterValidator(_not_empty)]
"""The name of a resource: any text but the empty one, lone surrogates included."""


def canonical_key(text: str) -> str:
    """A key as messages, gaps and owners name it, in its one form.

    A compound key is its JSON without spaces, however it was spaced. A key that the store had to write as a JSON string
    is the text in it. Everything else stands for itself.
    """
    if text[:1] not in _COULD_BE_JSON:
        return text
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(read, str):
        return read if read[:1] in _COULD_BE_JSON else text
    return compound_key(read) if is_compound(read) else text


def compound_key(parts: list[str]) -> str:
    """The one text of a key of several parts: ASCII JSON without spaces."""
    return json.dumps(parts, separators=(",", ":"))


def is_compound(value: object) -> bool:
    """Whether a value is a key of several parts."""
    return isinstance(value, list) and bool(value) and all(isinstance(part, str) for part in value)


def parts_of(key: str | list[str]) -> list[str]:
    """The parts of a key in any of its forms; a plain key is its only part."""
    if isinstance(key, list):
        return key
    form = canonical_key(key)
    if form[:1] != "[":
        return [form]
    try:
        read = json.loads(form)
    except (ValueError, RecursionError):
        return [form]
    return read if is_compound(read) else [form]


def names_of(key: str | list[str]) -> set[str]:
    """The names of a record by its key: the whole key in canonical form, and the first part of a compound one."""
    if isinstance(key, str) and key[:1] not in _COULD_BE_JSON:
        return {key}
    return {whole_name(key), parts_of(key)[0]}


def whole_name(key: str | list[str]) -> str:
    """The key of a record in its one form."""
    return compound_key(key) if isinstance(key, list) else canonical_key(key)
