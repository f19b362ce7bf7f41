"""A conversation is read as the standard decoder reads it; a large one is never held as text."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chatgpt import tree
from connectors.chatgpt.jsonbytes import BrokenJsonError
from connectors.chatgpt.tree import Conversation

from .test_content import JSON

MESSAGE = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["hi"]}}


@settings(max_examples=50)
@given(
    st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_the_parts_are_those_of_the_whole(
    fields: dict[str, Any], mapping: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    fields.pop("mapping", None)
    text = json.dumps({**fields, "mapping": mapping}, indent=indent, ensure_ascii=ascii_only)

    read = Conversation(text.encode("utf-8", "surrogatepass"))

    nodes = {name: node if isinstance(node, dict) else {"message": node} for name, node in mapping.items()}
    assert read.is_whole
    assert read.fields == fields
    assert dict(read.messages()) == {name: node for name, node in nodes.items() if node.get("message") is not None}


NAMES = st.sampled_from(["a", "b", "c"])
NODES = st.fixed_dictionaries(
    {"parent": NAMES | st.none(), "children": st.lists(NAMES, max_size=2)},
    optional={"message": JSON | st.just(MESSAGE), "id": NAMES},
)


def written(pairs: list[tuple[str, Any]]) -> str:
    """An object whose names may come twice."""
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


@settings(max_examples=100)
@given(
    st.lists(st.tuples(NAMES, NODES.map(json.dumps)), max_size=4).map(written),
    st.lists(st.tuples(NAMES | st.just("current_node"), JSON.map(json.dumps)), max_size=3),
)
def test_a_small_conversation_is_read_as_a_large_one_is(mapping: str, fields: list[tuple[str, str]]) -> None:
    raw = written([*fields, ("mapping", mapping)]).encode()

    with pytest.MonkeyPatch.context() as patch:
        small = Conversation(raw)
        patch.setattr(tree, "AT_ONCE_BYTES", 0)
        large = Conversation(raw)

    for name in ("fields", "is_whole", "repeated", "branch", "current_node", "is_empty", "absent_nodes", "message_ids"):
        assert getattr(small, name) == getattr(large, name)
    assert (small.begins_in_the_middle, list(small.messages())) == (large.begins_in_the_middle, list(large.messages()))


@pytest.mark.parametrize("text", ["null", "[]", '"mapping"', "{}", '{"mapping": null}', '{"mapping": []}'])
def test_what_has_no_tree_is_not_whole(text: str) -> None:
    assert not Conversation(text.encode()).is_whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        '{"mapping": {"a": {"message": {}}}',
        '{"mapping": {"a": {"message": {}}}} more',
        '{"mapping": {"a": {"message": nope}}}',
        '{"mapping": {"a": {"message": {}},}}',
        '{"mapping": {"a" {}}}',
        '{"mapping": {a: {}}}',
        '{"mapping": {"a": }}',
        '{"mapping": {"a": {]}}}',
        '{"mapping": nope}',
        '{"mapping": {}, "title": nope}',
        '{"mapping": {"a": "unterminated',
        '{"mapping": {"a": "cut \\',
    ],
)
def test_an_answer_that_is_broken_anywhere_is_refused_before_anything_is_taken_of_it(text: str) -> None:
    with pytest.raises(BrokenJsonError):
        Conversation(text.encode())


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), JSON, min_size=1, max_size=3), st.data())
def test_an_answer_that_is_cut_is_refused(mapping: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps({"mapping": mapping})

    with pytest.raises(BrokenJsonError):
        Conversation(text[: data.draw(st.integers(0, len(text) - 1))].encode())


def test_a_byte_order_mark_is_passed_over() -> None:
    assert Conversation(b'\xef\xbb\xbf{"mapping": {}}').is_whole


@pytest.mark.parametrize("ascii_only", [True, False])
def test_reading_a_large_conversation_takes_little_more_than_its_bytes(
    ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "AT_ONCE_BYTES", 2_000_000)
    said = {**MESSAGE, "content": {"content_type": "text", "parts": ["\U0001f600" + "x" * 4_000]}}
    mapping = {f"node-{number}": {"message": said, "children": []} for number in range(500)}
    raw = json.dumps({"mapping": mapping}, ensure_ascii=ascii_only).encode()

    tracemalloc.start()
    try:
        count = sum(1 for _ in Conversation(raw).messages())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 500
    assert peak < len(raw) / 2
