"""The canonical form of what is missing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, TimeRange, scope_json, scope_key

texts = st.text(st.characters(), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
ranges = st.none() | st.builds(TimeRange, since=st.none() | texts, until=st.none() | texts)
scopes = st.builds(ResourceScope, resource_id=st.text(min_size=1, max_size=8)) | st.builds(
    BatchScope, partition=st.dictionaries(texts, json_values, max_size=3), range=ranges
)


def reordered(value: Any) -> Any:
    """The same value with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [reordered(item) for item in value]
    return value


@given(st.dictionaries(texts, json_values, max_size=4))
def test_the_order_of_keys_never_matters(partition: dict[str, Any]) -> None:
    assert scope_key(BatchScope(partition=partition)) == scope_key(BatchScope(partition=reordered(partition)))


@given(scopes, scopes)
def test_different_scopes_have_different_keys(one: Scope, other: Scope) -> None:
    # As canonical JSON, because Python takes True for 1.
    same = json.dumps(scope_json(one), sort_keys=True) == json.dumps(scope_json(other), sort_keys=True)

    assert (scope_key(one) == scope_key(other)) == same


@given(scopes)
def test_a_key_is_ascii_and_reads_back_to_its_scope(scope: Scope) -> None:
    key = scope_key(scope)

    assert key.isascii()
    assert json.loads(key) == scope_json(scope)


def test_an_open_end_and_an_absent_one_are_the_same_miss() -> None:
    given_as_none = BatchScope(partition={}, range=TimeRange(since="2026-01-01", until=None))
    left_out = BatchScope(partition={}, range=TimeRange(since="2026-01-01"))

    assert scope_key(given_as_none) == scope_key(left_out)


def test_a_period_without_ends_is_none() -> None:
    assert BatchScope(partition={}, range=TimeRange()) == WHOLE_STREAM


def test_a_resource_and_a_partition_never_share_a_key() -> None:
    assert scope_key(ResourceScope(resource_id="a")) == '{"resource_id":"a"}'
    assert scope_key(BatchScope(partition={"resource_id": "a"})) == '{"partition":{"resource_id":"a"}}'
