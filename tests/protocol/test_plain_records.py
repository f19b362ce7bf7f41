"""A record that is as it should be is read the quick way; that way reads what the form reads, or leaves it to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pdpp_worker.protocol.messages import Record, RecordForm
from pdpp_worker.protocol.messages.record import read_plain_record
from pdpp_worker.protocol.numbers import may_be_long

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN: dict[str, Any] = {"stream": "items", "key": "a", "data": {"a": 1}, "emitted_at": NOW}

texts = st.text(st.characters(), max_size=4)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
data = st.dictionaries(texts, st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
times = st.sampled_from(
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01 00:00:00.123456789+01:00",
        "2026-01-01",
        "20260101T000000Z",
        "0001-01-01T00:00Z",
        "",
    ]
)
odd = leaves | st.lists(texts, max_size=2) | times
members = st.fixed_dictionaries(
    {
        "type": st.just("RECORD"),
        "stream": st.sampled_from(["items", "", "é", "a" * 201]) | odd,
        "key": texts | st.lists(texts | st.integers(), max_size=2) | odd,
        "data": data | odd,
        "emitted_at": times | odd,
    },
    optional={
        "op": st.sampled_from(["upsert", "delete", "drop"]),
        "partial": st.booleans() | st.just(1),
        "ground": st.sampled_from(["stated", "absent"]),
        "more": odd,
    },
)


def outcome(make: Any, *given: Any, **fields: Any) -> Any:
    """The result: the fields, or that it was refused."""
    try:
        made = make(*given, **fields)
    except ValidationError:
        return "refused"
    return None if made is None else repr({name: getattr(made, name) for name in RecordForm.model_fields})


@given(members)
@settings(max_examples=150, deadline=None)
@example({"type": "RECORD", **PLAIN, "emitted_at": "2026-01-01T00:00:00Z", "data": {"a": 2**64, "b": "\ud800"}})
def test_a_line_is_read_as_its_form_reads_it_or_left_to_it(fields: dict[str, Any]) -> None:
    line = json.dumps(fields).encode()

    if not may_be_long(line) and (quick := outcome(read_plain_record, line)) is not None:
        assert quick == outcome(RecordForm.model_validate_json, line)


def test_most_lines_are_read_the_quick_way() -> None:
    line = json.dumps({"type": "RECORD", **PLAIN, "emitted_at": "2026-01-01T00:00:00Z"}).encode()

    assert read_plain_record(line) == Record(**PLAIN)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"key": ["a", "b"]},
        {"key": 7},
        {"key": []},
        {"key": ""},
        {"key": ["a", 1]},
        {"stream": ""},
        {"stream": "a" * 201},
        {"stream": "ö"},
        {"data": None},
        {"emitted_at": NOW.replace(tzinfo=None)},
        {"emitted_at": NOW.astimezone(timezone(timedelta(hours=3)))},
        {"emitted_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=3)))},
        {"emitted_at": "2026-01-01T00:00:00Z"},
        {"op": "delete", "ground": "absent"},
        {"ground": "absent"},
        {"op": "drop"},
        {"partial": 1},
        {"partial": True},
    ],
    ids=str,
)
def test_a_record_takes_what_its_form_takes(changed: dict[str, Any]) -> None:
    assert outcome(Record, **(PLAIN | changed)) == outcome(RecordForm, **(PLAIN | changed))
