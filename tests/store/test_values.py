"""From any data to what PostgreSQL can hold, without losing a character."""

from __future__ import annotations

import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pdpp_worker.store.engine import Database
from pdpp_worker.store.values import (
    KEY_BYTES,
    NotRepresentableError,
    encode,
    exact_json,
    key_text,
    raw_form,
    representable,
    storable,
    storable_json,
)
from tests.support.desk import Desk, row
from tests.support.nesting import nested

pure = settings(max_examples=50, deadline=None)

AWKWARD = ["\x00", "\\u0000", "\\\x00", "\\\\u0000", "\ud800", "\udfff", "a\x00b\x00\x00", "�", "\U0001f600", '"', ""]
LOTS = 10**4000

texts = st.text(st.characters(), max_size=10) | st.sampled_from(AWKWARD)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([LOTS, -LOTS, 2**63, 2**64])
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
documents = st.dictionaries(texts, json_values, max_size=4)
keys = texts.filter(bool) | st.lists(texts, min_size=1, max_size=3)


def read(text: str | bytes) -> Any:
    """JSON with its numbers as they are written: a float and an integer of the same value are the same."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def same(value: Any) -> Any:
    """A value as JSON makes it: half a surrogate pair and the other half after it are one character."""
    return read(json.dumps(value))


@given(documents)
@pure
def test_the_exact_form_reads_back_to_exactly_the_data(data: dict[str, Any]) -> None:
    encoded = encode(data)

    assert same(data) == read(encoded.raw or encoded.text)


@given(documents)
@pure
def test_a_raw_form_is_kept_where_the_text_had_to_change(data: dict[str, Any]) -> None:
    encoded = encode(data)

    assert encoded.raw is not None or storable(data) == data


@given(json_values.map(lambda value: {"value": value}))
@pure
def test_only_the_characters_that_cannot_be_stored_are_replaced(data: dict[str, Any]) -> None:
    assert read(encode(data).text) == same(storable(json.loads(json.dumps(data, sort_keys=True))))


@pytest.mark.parametrize("odd", ["\0", "\udcff", "\0\udcff", "a\0"])
def test_a_text_of_what_cannot_be_stored_takes_a_few_times_its_size(odd: str) -> None:
    text = odd * 50_000
    tracemalloc.start()
    encode({"content": text})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 40 * len(text)


@given(documents, documents)
@pure
def test_the_digest_tells_different_data_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    def canonical(data: Any) -> str:
        return json.dumps(data, sort_keys=True)

    assert (encode(one).digest == encode(other).digest) == (canonical(one) == canonical(other))


@given(documents)
@pure
def test_the_order_of_keys_changes_nothing(data: dict[str, Any]) -> None:
    assert encode(dict(reversed(data.items()))) == encode(data)


@given(st.lists(documents | json_values.map(lambda value: {"value": value}), min_size=1, max_size=25))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@example([{"text": text, text: 1} for text in AWKWARD])
@example([{"tiny": 5e-324, "vast": 1.7976931348623157e308, "minus": -0.0, "long": LOTS}])
def test_postgresql_takes_all_of_it_and_gives_it_back(store: Database, batch: list[dict[str, Any]]) -> None:
    desk = Desk(store)

    desk.write(*[row(str(number), data) for number, data in enumerate(batch)])

    held = desk.rows("SELECT key, data::text AS data, raw FROM records WHERE connection_id = :c")
    assert {one["key"]: read(bytes(one["raw"]) if one["raw"] else one["data"]) for one in held} == {
        str(number): same(data) for number, data in enumerate(batch)
    }


@pytest.mark.parametrize("leaf", ["leaf", "\x00", "\ud800"], ids=["plain", "NUL", "half a pair"])
def test_deep_nesting_is_no_reason_to_lose_anything(desk: Desk, leaf: str) -> None:
    encoded = encode({"deep": nested(800, leaf)})

    assert desk.write(row("a")._replace(text=encoded.text, raw=encoded.raw, digest=encoded.digest)).flushed == 1
    assert json.loads(encoded.raw or encoded.text) == {"deep": nested(800, leaf)}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="nan"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param({1}, id="set"),
        pytest.param(object, id="class"),
        pytest.param({("a",): 1}, id="tuple as key"),
        pytest.param({1: 1, "1": 1}, id="mixed keys"),
        pytest.param(10**5000, id="5,000 digits"),
        pytest.param(nested(100_000), id="deep"),
        pytest.param(nested(100_000, "\x00"), id="deep and awkward"),
    ],
)
def test_what_json_does_not_have_is_refused_and_still_shown(value: Any) -> None:
    for encoder in (encode, exact_json, storable_json):
        with pytest.raises(NotRepresentableError, match=r"\w+"):
            encoder({"value": value})

    assert raw_form({"value": value})


def test_parts_that_json_does_not_have_become_null_and_nothing_else_changes() -> None:
    value = {"page": [1, float("inf"), {"at": float("nan"), "id": "m-1"}]}

    assert representable(value) == {"page": [1, None, {"at": None, "id": "m-1"}]}


def test_of_a_value_that_stays_too_deep_without_its_odd_parts_nothing_is_kept() -> None:
    assert representable(nested(100_000, float("inf"))) is None


def test_data_that_contains_itself_is_refused_and_still_shown() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle

    with pytest.raises(NotRepresentableError):
        encode(circle)
    assert raw_form(circle) == b"(Circular reference detected)"


def test_a_rejected_value_is_shown_as_near_to_itself_as_json_allows() -> None:
    shown = raw_form({"n": float("nan"), "b": b"\x00", "s": "x"})

    assert shown == b'{"n": NaN, "b": "b\'\\\\x00\'", "s": "x"}'


@given(json_values)
@pure
def test_exact_json_is_ascii_and_loses_nothing(value: Any) -> None:
    text = exact_json(value)

    assert text.isascii()
    assert read(text) == same(value)


@given(json_values)
@pure
def test_storable_json_never_holds_what_jsonb_refuses(value: Any) -> None:
    text = storable_json(value)

    text.encode()
    assert "\x00" not in json.dumps(json.loads(text), ensure_ascii=False).replace("\\\\", "")
    assert "\\u0000" not in json.dumps(json.loads(text)).replace("\\\\", "")


class TestKeys:
    """A record's key as one text."""

    @given(keys, keys)
    @pure
    def test_different_keys_never_share_a_text(self, one: str | list[str], other: str | list[str]) -> None:
        if key_text(one) == key_text(other):
            assert same(one) == same(other)

    @given(keys)
    @example('["a"]')
    @example('"a"')
    @example(["a"])
    @pure
    def test_a_key_can_be_told_from_its_text(self, key: str | list[str]) -> None:
        text = key_text(key)

        known = read(text) if text[0] in '["' else text
        assert known == same(key)

    @given(keys)
    @example(["\x7f\u2028\ud800"])
    @pure
    def test_a_key_that_stands_as_json_is_written_as_exact_json_is(self, key: str | list[str]) -> None:
        assert key_text(key) in (key, exact_json(key))

    @given(keys)
    @pure
    def test_a_key_can_always_be_stored(self, key: str | list[str]) -> None:
        assert storable(key_text(key)) == key_text(key)

    @pytest.mark.parametrize("key", ["k" * KEY_BYTES, "é" * (KEY_BYTES // 2), "\U0001f600" * (KEY_BYTES // 4)])
    def test_the_longest_key_fits_and_a_longer_one_is_refused(self, desk: Desk, key: str) -> None:
        assert desk.write(row(key_text(key))).flushed == 1
        assert list(desk.held()) == [key]

        with pytest.raises(NotRepresentableError, match="longer than 1024 bytes"):
            key_text(key + "x")


@pytest.mark.parametrize("number", [1e23, -1e300, 1e16, -0.0])
def test_a_number_that_the_database_would_rewrite_is_kept_as_it_came(number: float) -> None:
    assert repr(json.loads(encode({"n": number}).raw or b"null")["n"]) == repr(number)


@pytest.mark.parametrize("data", [{"n": 1}, {"n": 1.5}, {"n": 1e-7}, {"n": "text"}, {"n": 2**70}])
def test_plain_data_needs_no_raw_form(data: dict[str, object]) -> None:
    assert encode(data).raw is None
