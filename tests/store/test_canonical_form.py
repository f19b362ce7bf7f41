"""The canonical form of records and its digest: what databases hold was compared by them, so they never change."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pdpp_worker.store.values import encode

HELD: list[tuple[dict[str, Any], bytes, bytes | None, str]] = [
    ({}, b"{}", None, "2afb9b83f9314e5d029766197f539792"),
    ({"b": 1, "a": [True, False, None]}, b'{"a":[true,false,null],"b":1}', None, "66d3594f5f4a7eda2192bf4028abecbc"),
    (
        {"\uffff": 1, "\U0001f600": 2, "a": 3},
        b'{"a":3,"\xef\xbf\xbf":1,"\xf0\x9f\x98\x80":2}',
        None,
        "d129adfc3db2c31a6d4778e999aa1612",
    ),
    (
        {"n": [0.1, 1e-5, 1e-7, -0.0, 1e16, 1e22, 1.5e300, 5e-324, 123456789.12345679, 1e15]},
        b'{"n":[0.1,1e-05,1e-07,-0.0,1e+16,1e+22,1.5e+300,5e-324,123456789.12345679,1000000000000000.0]}',
        b'{"n":[0.1,1e-05,1e-07,-0.0,1e+16,1e+22,1.5e+300,5e-324,123456789.12345679,1000000000000000.0]}',
        "e568db35545ba84e8b8a659435a5f73b",
    ),
    (
        {"n": [1e-5, 0.00001234, 1e-7, 1e15, 0.1, 123456.789]},
        b'{"n":[0.00001,0.00001234,1e-7,1000000000000000.0,0.1,123456.789]}',
        None,
        "a34ecebc2a73e3cf48920052f471a8c8",
    ),
    (
        {"i": [2**53, 2**63, 2**64, -(2**63), 10**30]},
        b'{"i":[9007199254740992,9223372036854775808,18446744073709551616,-9223372036854775808,1%s]}' % (b"0" * 30),
        None,
        "537608029bacdabfe35f5246752b317a",
    ),
    (
        {"t": '\x00\ud800 \\u0000 \u2028 \x7f \t"\\/'},
        b'{"t":"\xef\xbf\xbd\xef\xbf\xbd \\\\u0000 \xe2\x80\xa8 \x7f \\t\\"\\\\/"}',
        b'{"t":"\\u0000\\ud800 \\\\u0000 \\u2028 \\u007f \\t\\"\\\\/"}',
        "386e7d8d5f06e98f85458df8b629e1e7",
    ),
    (
        {"d": Decimal("12345678901234567890.123456789")},
        b'{"d":12345678901234567890.123456789}',
        None,
        "3e5766b3f1988c97cdcff34673fe90fc",
    ),
    (
        {"z": {"y": {"x": [[], {}]}}, "é": "日本"},
        b'{"z":{"y":{"x":[[],{}]}},"\xc3\xa9":"\xe6\x97\xa5\xe6\x9c\xac"}',
        None,
        "f29eec74ad3dd86c4ddb9dd2698b167d",
    ),
]


@pytest.mark.parametrize(("data", "text", "raw", "digest"), HELD)
def test_the_form_of_a_record_stays_as_databases_hold_it(
    data: dict[str, Any], text: bytes, raw: bytes | None, digest: str
) -> None:
    encoded = encode(data)

    assert (encoded.text, encoded.raw, encoded.digest.hex()) == (text, raw, digest)
