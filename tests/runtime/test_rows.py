"""A RECORD becomes a row that says the same, or a rejection that says why; a schema's refusal repeats no content."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.protocol.messages import LongRecord, Record
from pdpp_worker.runtime.rows import rejection_of, row_of
from pdpp_worker.store.values import NotRepresentableError

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANY = jsonschema_rs.validator_for({"type": "object"})
STRICT = jsonschema_rs.validator_for({"type": "object", "properties": {"n": {"type": "integer"}}})
SECRET = "s3cret"

plain = st.text(st.characters(exclude_categories=["C"]), max_size=8)
leaves = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | plain
objects = st.dictionaries(
    plain, st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3))
)
keys = plain.filter(bool) | st.lists(plain, min_size=1, max_size=3)


def record(data: dict[str, Any], key: str | list[str] = "a", **fields: Any) -> Record:
    """A record of one stream."""
    return Record(stream="items", key=key, data=data, emitted_at=AT, **fields)


def redact(text: str) -> str:
    """As the runtime's redactor does for one secret."""
    return text.replace(SECRET, "***")


@given(data=objects, key=keys)
def test_plain_data_is_stored_as_it_came(data: dict[str, Any], key: str | list[str]) -> None:
    row = row_of(record(data, key), ANY, None)

    assert json.loads(row.text) == data
    assert row.raw is None


@given(data=objects, key=keys)
def test_one_content_has_one_digest_whatever_the_order_of_its_fields(
    data: dict[str, Any], key: str | list[str]
) -> None:
    turned = dict(reversed(data.items()))

    assert row_of(record(data, key), ANY, None).digest == row_of(record(turned, key), ANY, None).digest


@given(data=objects, op=st.sampled_from(["upsert", "delete"]), partial=st.booleans())
def test_the_row_says_what_kind_of_record_it_is(data: dict[str, Any], op: Any, partial: bool) -> None:
    row = row_of(record(data, op=op, partial=partial), ANY, None)

    assert (row.deleted, row.partial, row.emitted_at) == (op == "delete", partial, AT)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("2026-01-01T00:00:00Z", (AT.timestamp(), None)),
        ("2026-01-01T01:00:00+01:00", (AT.timestamp(), None)),
        (7, (None, "7")),
        ("no time", (None, None)),
        (None, (None, None)),
    ],
)
def test_the_cursor_field_gives_the_place_among_versions(value: Any, place: tuple[Any, Any]) -> None:
    row = row_of(record({"at": value}), ANY, "at")

    assert (row.version, row.digits) == place


def test_only_a_whole_record_is_held_against_its_schema() -> None:
    broken = {"n": "no number"}

    with pytest.raises(jsonschema_rs.ValidationError):
        row_of(record(broken), STRICT, None)

    assert row_of(record(broken, partial=True), STRICT, None).partial
    assert row_of(record(broken, op="delete"), STRICT, None).deleted


def test_a_line_that_was_too_long_is_no_row() -> None:
    long = LongRecord(**record({}).model_dump(), line_bytes=10**9)

    with pytest.raises(NotRepresentableError, match="too long to be read"):
        row_of(long, ANY, None)


@given(text=plain)
def test_a_refusal_by_the_schema_repeats_no_content(text: str) -> None:
    refused = record({"n": text})
    with pytest.raises(jsonschema_rs.ValidationError) as error:
        row_of(refused, STRICT, None)

    assert rejection_of(refused, error.value, redact).error == "n breaks the schema (type)"


def test_a_rejection_keeps_the_payload_and_hides_secrets_in_its_reason() -> None:
    rejection = rejection_of(record({"text": SECRET}), ValueError(f"no {SECRET} here"), redact)

    assert SECRET.encode() in rejection.raw
    assert rejection.error == "cannot be represented: no *** here"
