"""A JSON array read element by element gives what the whole file gives."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chatgpt import jsonstream
from connectors.chatgpt.jsonbytes import BrokenJsonError, decode

from .test_content import JSON


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "CHUNK_BYTES", 3)


def elements(source: io.BytesIO) -> Iterator[Any]:
    return (decode(one.raw) for one in jsonstream.elements(source))


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
        sizes = [len(one.raw) for one in jsonstream.elements(source)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sizes == [1_000_006] * 3
    assert peak < 3.5 * sizes[0], "the one that was read, the one before it, and the file's own bytes"


def test_a_byte_order_mark_is_passed_over() -> None:
    assert list(elements(io.BytesIO(b"\xef\xbb\xbf[1]"))) == [1]
