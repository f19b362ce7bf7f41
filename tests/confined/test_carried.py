"""A message comes through to the worker as it was said: value by value, and type by type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from pdpp_worker.confined import carried
from pdpp_worker.confined.carried import Carried, Write, arrived, carry
from pdpp_worker.protocol.messages import (
    DetailCoverage,
    DetailGap,
    Inventory,
    LongRecord,
    LongState,
    Message,
    Progress,
    Record,
    SkipResult,
    SourceMember,
    State,
)
from pdpp_worker.protocol.numbers import exact_float
from pdpp_worker.protocol.reasons import RecoveryKind
from pdpp_worker.protocol.schemas import validator_for
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.runtime import rows
from pdpp_worker.store.values import NotRepresentableError, encode

NOW = datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)

texts = st.text(st.characters(), max_size=4) | st.text(st.characters(categories=["Cs"]), max_size=3)
integers = st.integers() | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400])
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=25).map(lambda one: exact_float(format(one, "f")))
leaves = st.none() | st.booleans() | integers | st.floats() | numbers | texts
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)


FORM = validator_for({"properties": {"id": {"type": "string"}}, "required": ["id"]}), "n"


def sent(message: Message, writers: Mapping[str, Write] = MappingProxyType({})) -> Message:
    """The message, as it arrives."""
    packed, _ = carry(message, writers)
    return arrived(msgpack.decode(msgpack.encode(packed), type=Carried))


def shape(value: Any) -> str:
    """All values and types, in their order."""
    return repr(value)


def record(data: dict[str, Any]) -> Record:
    return Record(stream="items", key="a", data=data, emitted_at=NOW)


@given(st.dictionaries(texts, values), texts.filter(bool) | st.lists(texts, min_size=1))
@settings(max_examples=60, deadline=None)
@example({"a": "\ud83d\ude00", "\ud800": [{"\udfff": Decimal("1.00000000000000000000001")}]}, "\ud800")
@example({"a": float("nan"), "b": -0.0, "c": 1e23, "d": 2**64, "e": 1.0}, ["a"])
@example({"a": [{}] * 300}, "a")
def test_a_record_comes_through_unchanged(data: dict[str, Any], key: Any) -> None:
    said = Record(stream="items", key=key, data=data, emitted_at=NOW, partial=True)

    assert shape(sent(said)) == shape(said)


@given(st.dictionaries(st.sampled_from(["id", "n"]), values), st.sampled_from(["upsert", "delete"]), st.booleans())
@settings(max_examples=60, deadline=None)
@example({"id": "a", "n": 1e23}, "upsert", False)
@example({"id": "\x00", "n": 1}, "upsert", False)
@example({"id": "a", "n": "2026-01-01T00:00:00Z"}, "upsert", True)
@example({"id": 1}, "upsert", False)
def test_the_row_of_a_record_that_was_encoded_apart_is_the_same_and_so_is_its_refusal(
    data: dict[str, Any], op: Any, partial: bool
) -> None:
    said = Record(stream="items", key="a", data=data, emitted_at=NOW, op=op, partial=partial)

    assert outcome(sent(said, {"items": lambda record: rows.write_apart(record, *FORM)})) == outcome(said)


def outcome(message: Message) -> object:
    """The row of a record, or why it is refused, with what is kept of it."""
    assert isinstance(message, Record)
    try:
        return rows.row_of(message, *FORM)
    except (ValueError, RecursionError) as error:
        return rows.rejection_of(message, error, str)


def test_a_record_whose_row_is_many_times_larger_than_itself_goes_by_its_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carried, "LARGEST_ROW", 1_000)
    said = record({"id": "\0" * 100})

    got = sent(said, {"items": lambda record: rows.write_apart(record, *FORM)})

    assert (type(got), shape(got)) == (Record, shape(said))


@given(values)
@settings(max_examples=25, deadline=None)
def test_a_cursor_comes_through_unchanged(cursor: Any) -> None:
    assert shape(sent(State(stream="items", cursor=cursor))) == shape(State(stream="items", cursor=cursor))


@pytest.mark.parametrize(
    "said",
    [
        Record(stream="items", key="a", data={"id": "a"}, emitted_at=NOW, op="delete", ground="absent"),
        LongRecord(stream="items", key="a", data={}, emitted_at=NOW, line_bytes=10**9),
        LongState(stream="items", cursor=None, line_bytes=10**9),
        DetailGap(stream="items", record_key="a", reason="parse_failed", retry_after=NOW, detail_locator={"a": 2**70}),
        DetailCoverage(stream="items", state_stream="all", required_keys=["a"], hydrated_keys=["a"]),
        Progress(stream="items", message="é\ud800", count=1, total=2),
        SkipResult(stream="items", reason="parse_failed", scope=WHOLE_STREAM, recovery_kind=RecoveryKind.UPGRADE),
        Inventory(
            part="all", members=[SourceMember(kind="file", name="a", disposition="declared", reason="no", count=1)]
        ),
    ],
    ids=lambda said: type(said).__name__,
)
def test_every_kind_of_message_comes_through(said: Message) -> None:
    got = sent(said)

    assert (type(got), shape(got)) == (type(said), shape(said))


@pytest.mark.parametrize("value", [{1}, b"bytes", object()])
def test_a_value_that_is_no_json_is_refused_where_it_arrives(value: object) -> None:
    got = sent(record({"a": value}))

    assert isinstance(got, Record)
    with pytest.raises(NotRepresentableError):
        encode(got.data)


def test_a_value_that_is_nested_too_deeply_costs_its_record_only() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}

    got = sent(record(deep))

    assert isinstance(got, Record)
    with pytest.raises(NotRepresentableError):
        encode(got.data)


@pytest.mark.parametrize("name", ["Start", "Message", ""])
def test_a_thing_of_another_kind_is_no_message(name: str) -> None:
    with pytest.raises(ValueError, match="known kind"):
        arrived(msgpack.encode((name, {})))
