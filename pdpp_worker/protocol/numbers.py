"""Numbers with more digits than a float holds, such as amounts of a database's `numeric`: kept digit by digit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

MOST_DIGITS = 400
"""Longer numbers, and those beyond the range of floats, are floats all the same: a database has bounds of its own."""

_RUN = 16
"""A number that a float does not hold has at least so many digits: it holds all of 15."""
_LONG = b"0" * _RUN
_DIGITS = bytes.maketrans(b"123456789.", b"0" * 10)
_NUMBER = re.compile(rb"[\d.]*(?:[eE][+-]?\d+)?")
_SURE_INT_DIGITS = 18
"""Integers of so many digits have 64 bits."""


def may_be_long(raw: bytes) -> bool:
    """Whether there may be such a number in this JSON text; quick, and wrong only in saying yes."""
    return not all(map(_is_held, _long_runs(raw)))


def _long_runs(raw: bytes) -> Iterator[bytes]:
    """The runs of many digits, each with the exponent behind it."""
    digits = raw.translate(_DIGITS)
    at = digits.find(_LONG)
    while at >= 0 and (found := _NUMBER.match(raw, at)):
        yield found[0]
        at = digits.find(_LONG, found.end())


def _is_held(text: bytes) -> bool:
    """Whether 64 bits hold this number, as an integer or as a float."""
    if text.isdigit():
        return len(text) <= _SURE_INT_DIGITS
    try:
        return repr(float(text)).encode() == text
    except ValueError:
        return False


def exact_float(text: str) -> float | Decimal:
    """A JSON number with a fraction or an exponent: as a float where that is the same number."""
    number = float(text)
    if len(text) < _RUN or len(text) > MOST_DIGITS or number == 0 or not isfinite(number):
        return number
    exact = Decimal(text)
    return number if exact == Decimal(repr(number)) else exact


def any_int(text: str) -> int | Decimal:
    """A JSON integer of any length, so that one that no database holds costs its own record only."""
    return int(text) if len(text) <= MOST_DIGITS else Decimal(text)


def as_written(value: Any) -> orjson.Fragment:
    """A Decimal as its digits, for `orjson.dumps(default=…)`.

    Raises:
        TypeError: it is something else, or no number that can be written out.
    """
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= MOST_DIGITS:
        text = format(value, "f")
        if len(text) <= 3 * MOST_DIGITS:
            return orjson.Fragment(text)
    raise TypeError(f"{type(value).__name__} is not JSON")


def as_float(value: Any) -> float:
    """A Decimal as the nearest float, where it cannot be written out, for `json.dumps(default=…)`.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
