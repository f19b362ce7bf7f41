"""Rows reach the table through COPY as they are, whatever is in them and however long they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.copy_rows import blocks
from pdpp_worker.store.engine import Database
from pdpp_worker.store.values import encode, key_text
from tests.support.desk import Desk

BEFORE_ALL, AFTER_ALL = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
texts = st.text(st.characters(), max_size=8)
zones = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.datetimes(BEFORE_ALL.replace(tzinfo=None), AFTER_ALL.replace(tzinfo=None), timezones=zones)
places = (
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.none())
    | st.tuples(st.none(), st.integers().map(str))
    | st.just((None, None))
)


@st.composite
def rows(draw: st.DrawFn) -> RecordRow:
    """Any row that may be new."""
    version, digits = draw(places)
    data = draw(st.dictionaries(texts, texts | st.floats(allow_nan=False, allow_infinity=False), max_size=3))
    key = key_text(draw(texts.filter(bool) | st.lists(texts, min_size=1, max_size=3)))
    return RecordRow(key, *encode(data), version, draw(moments), draw(st.booleans()), draw(st.booleans()), digits)


def told(row: RecordRow) -> dict[str, Any]:
    """The row as the table is to hold it."""
    return {
        "key": row.key,
        "raw": row.raw,
        "content_hash": row.digest,
        "version": row.version,
        "version_digits": row.digits,
        "partial": row.partial,
        "emitted_at": row.emitted_at,
        "deleted_at": row.emitted_at if row.deleted else None,
    }


def told_by(held: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a row that is held."""
    names = ("key", "raw", "content_hash", "version", "version_digits", "partial", "emitted_at", "deleted_at")
    return {name: held[name] for name in names}


@given(st.lists(rows(), max_size=12, unique_by=lambda row: row.key))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@example(
    [
        RecordRow("a", *encode({}), -0.0, BEFORE_ALL, True, True),
        RecordRow("b", *encode({}), 5e-324, AFTER_ALL, False, False),
    ]
)
def test_a_new_row_is_held_as_it_was_sent(store: Database, sent: list[RecordRow]) -> None:
    desk = Desk(store)

    desk.write(*sent)

    held = desk.rows("SELECT * FROM records WHERE connection_id = :c")
    assert {row["key"]: told_by(row) for row in held} == {row.key: told(row) for row in sent}


def test_many_rows_come_in_blocks_of_bounded_size() -> None:
    row = RecordRow("a", *encode({"text": "x" * 1000}), None, BEFORE_ALL, False, False)

    made = list(blocks(1, 1, "items", [row] * 1000))

    assert len(made) > 5
    assert max(map(len, made)) < 200_000
