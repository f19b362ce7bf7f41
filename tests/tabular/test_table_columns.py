"""Columns fit PostgreSQL, SQLite and Parquet, whatever members a schema names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.tabular.table_columns import LONGEST_NAME, MOST_COLUMNS, OWN, Kind, columns_of, kind_of, table_names

ANY_NAME = st.text(st.one_of(st.characters(), st.sampled_from("aAäÄ_\x00\ud800")), max_size=90)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, Kind.TEXT),
        ({"type": ["string", "null"]}, Kind.TEXT),
        ({"type": "string", "format": "date-time"}, Kind.INSTANT),
        ({"type": ["null", "string"], "format": "date"}, Kind.DATE),
        ({"type": "string", "format": "uri"}, Kind.TEXT),
        ({"type": "integer"}, Kind.INTEGER),
        ({"type": ["integer", "number", "null"]}, Kind.NUMBER),
        ({"type": "boolean"}, Kind.BOOLEAN),
        ({"type": "array"}, Kind.JSON),
        ({"type": ["string", "integer"]}, Kind.JSON),
        ({"type": "null"}, Kind.JSON),
        ({"anyOf": []}, Kind.JSON),
        ({}, Kind.JSON),
        (True, Kind.JSON),
        ({"type": 7}, Kind.JSON),
    ],
)
def test_a_column_has_the_one_type_that_its_schema_allows(schema: Any, kind: Kind) -> None:
    assert kind_of(schema) is kind


@given(members=st.lists(ANY_NAME, max_size=12, unique=True))
def test_names_of_columns_differ_in_more_than_case_and_fit(members: list[str]) -> None:
    columns = columns_of({"properties": {member: {} for member in members}})

    names = [*OWN, *(one.name for one in columns)]
    assert len({name.lower() for name in names}) == len(names)
    assert all(0 < len(name.encode()) <= LONGEST_NAME and "\0" not in name for name in names)
    assert [one.member for one in columns] == members


def test_a_table_never_has_more_columns_than_it_can() -> None:
    columns = columns_of({"properties": {f"member_{number}": {} for number in range(3 * MOST_COLUMNS)}})

    assert len(columns) == MOST_COLUMNS


def test_streams_never_share_the_name_of_a_table() -> None:
    names = table_names([("a", "b_c"), ("a_b", "c"), ("a-b", "c"), ("chatgpt", "messages")])

    assert names["chatgpt", "messages"] == "chatgpt_messages"
    assert len(set(names.values())) == len(names)
