"""A JSON array read element by element gives what the whole file gives."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chatgpt import jsonstream
from connectors.chatgpt.jsonbytes import BrokenJsonError, decode, has_each_name_once

from .test_content import JSON


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "CHUNK_BYTES", 3)


def elements(source: io.BytesIO) -> Iterator[Any]:
    return (decode(one) for one in jsonstream.elements(source))


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_the_elements_are_those_of_the_whole(values: list[Any], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)

    assert list(elements(io.BytesIO(text.encode("utf-8", "surrogatepass")))) == values


@given(st.lists(JSON, min_size=1, max_size=4), st.data())
def test_a_file_that_ends_too_early_gives_what_is_whole_and_then_says_so(
    values: list[Any], data: st.DataObject
) -> None:
    text = json.dumps(values)
    cut = data.draw(st.integers(0, len(text) - 1))
    read: list[Any] = []

    with pytest.raises(BrokenJsonError):
        read.extend(elements(io.BytesIO(text[:cut].encode())))

    assert read == values[: len(read)]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"items": []}', "null", "<html>", "[1 2]", "[1,]", "[1,,2]", "[nope]", "[\xff"]
)
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(BrokenJsonError):
        list(elements(io.BytesIO(text.encode("latin-1"))))


def test_a_broken_element_is_noticed_before_the_rest_of_the_file_is_read() -> None:
    source = io.BytesIO(b'["fine", {broken}, "' + b"x" * 100_000)

    with pytest.raises(BrokenJsonError):
        list(elements(source))

    assert source.tell() < 1000


@pytest.mark.parametrize("awkward", [r'"\ud83d alone"', r'"\u0000"', "123456789012345678901234567890", "1e400"])
def test_awkward_values_are_read_as_the_standard_decoder_reads_them(awkward: str) -> None:
    assert list(elements(io.BytesIO(f"[{awkward}]".encode()))) == [json.loads(awkward)]


def test_large_elements_are_held_as_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "CHUNK_BYTES", 1 << 16)
    source = io.BytesIO(json.dumps(["\U0001f600" + "x" * 1_000_000] * 3, ensure_ascii=False).encode())

    tracemalloc.start()
    try:
        sizes = [len(one) for one in jsonstream.elements(source)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sizes == [1_000_006] * 3
    assert peak < 3.5 * sizes[0], "the one that was read, the one before it, and the file's own bytes"


def test_a_byte_order_mark_is_passed_over() -> None:
    assert list(elements(io.BytesIO(b"\xef\xbb\xbf[1]"))) == [1]


ALIKE = st.recursive(
    st.sampled_from(["}, {", '"}, {"a": ', 1, None]),
    lambda inner: st.lists(st.fixed_dictionaries({"a": inner}), max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
OBJECTS = st.lists(st.fixed_dictionaries({"a": ALIKE}, optional={"b": JSON}), max_size=5)


@settings(max_examples=60)
@given(OBJECTS, st.sampled_from([None, 1]), st.integers(1, 200))
def test_objects_that_begin_alike_are_told_apart(values: list[Any], indent: int | None, chunk: int) -> None:
    text = json.dumps(values, indent=indent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonstream, "CHUNK_BYTES", chunk)
        read = list(elements(io.BytesIO(text.encode())))

    assert read == values


PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d,e", "f\\u002c"]), JSON.map(json.dumps)), max_size=4)


@settings(max_examples=60)
@given(PAIRS)
def test_a_name_that_stands_twice_is_noticed(pairs: list[tuple[str, str]]) -> None:
    raw = "{" + " , ".join(f'"{name}": {value}' for name, value in pairs) + "}"

    assert not has_each_name_once(raw.encode()) or len(json.loads(raw)) == len(pairs)


def test_an_object_of_plain_names_has_each_once() -> None:
    assert has_each_name_once(b'{"a": [1, 2, ","], "b": {"a": 1, "b": 2}, "c": "{,}"}')
    assert has_each_name_once(b"{}")
