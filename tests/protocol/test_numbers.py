"""Numbers keep every digit from a line of JSON to a line of JSON; those that a float holds stay floats."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pdpp_worker.protocol.messages import Record, parse_message
from pdpp_worker.protocol.numbers import as_float, as_written, exact_float
from pdpp_worker.store.values import encode

LONG = "12345678901234567890.123456789"


def data_of(number: str) -> Any:
    """The value that is read of a record that holds this number."""
    line = f'{{"type":"RECORD","stream":"a","key":"k","data":{{"x":{number}}},"emitted_at":"2026-01-01T00:00:00Z"}}'
    message = parse_message(line.encode())
    assert isinstance(message, Record)
    return message.data["x"]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
@example(Decimal(LONG))
@example(Decimal("-0.10000000000000000001"))
@example(Decimal("9007.199254740987"))
def test_a_decimal_of_a_line_is_stored_as_the_same_number(number: Decimal) -> None:
    text = format(number, "f")

    stored = encode({"x": data_of(text)})

    exact = json.loads(stored.raw or stored.text, parse_float=Decimal, parse_int=Decimal)
    assert exact["x"] == number or number == 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_a_float_holds_stays_a_float(number: float) -> None:
    assert isinstance(exact_float(repr(number)), float)


@pytest.mark.parametrize("text", ["1e400", "-1e-4000000", "9" * 500 + ".5", "1.0000000000000000000000000000000"])
def test_what_no_database_would_take_is_a_float(text: str) -> None:
    assert isinstance(exact_float(text), float)


def test_long_digits_beside_it_change_nothing() -> None:
    assert data_of('"1234567890123456789", "n": null, "id": 1234567890123456789') == "1234567890123456789"


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("1e1000000"), Decimal("0." + "1" * 2000), b"bytes"])
def test_what_is_no_number_to_write_out_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        orjson.dumps(value, default=as_written)


def test_a_decimal_beside_what_the_fast_writer_refuses_is_the_nearest_float() -> None:
    assert json.loads(encode({"x": Decimal(LONG), "y": "\x00"}).text)["x"] == float(LONG)
    with pytest.raises(TypeError):
        as_float(b"bytes")
