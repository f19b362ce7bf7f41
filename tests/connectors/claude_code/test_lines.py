"""The line reader: any bytes, any cut, the same lines; and the anchor that proves what was read."""

from __future__ import annotations

import io
import json
import re
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.claude_code import lines
from connectors.claude_code.lines import Anchor, BrokenLine, Line, parse, read_lines

CONTENT = st.lists(st.sampled_from([b"\n", b"a", b"{}", b"\r", b"\xff", b"\x00", b"long line"]), max_size=60).map(
    b"".join
)


def blocks_of(content: bytes, size: int) -> BinaryIO:
    """A file that is read in blocks of so many bytes."""
    return io.BufferedReader(cast(io.RawIOBase, io.BytesIO(content)), buffer_size=size)


def lines_of(content: bytes, *, block: int = 1024, offset: int = 0, limit: int = 1000) -> list[Line]:
    return list(read_lines(blocks_of(content, block), offset, len(content), limit))


@given(CONTENT, st.integers(1, 70))
def test_lines_are_the_file_whatever_the_block_size(content: bytes, block: int) -> None:
    found = lines_of(content, block=block)

    assert b"".join(line.data or b"" for line in found) == content
    assert all(line.data == content[line.offset : line.end] for line in found)
    assert [line.finished for line in found] == [line.data is not None and line.data[-1:] == b"\n" for line in found]


@given(CONTENT, st.integers(1, 70), st.integers(0, 12))
def test_reading_can_go_on_from_the_end_of_any_line(content: bytes, block: int, stop: int) -> None:
    whole = lines_of(content)
    begin = [0, *(line.end for line in whole if line.finished)]
    offset = begin[stop % len(begin)]

    assert lines_of(content, block=block, offset=offset) == [line for line in whole if line.offset >= offset]


@given(CONTENT, st.integers(1, 70), st.integers(1, 12))
def test_a_line_beyond_the_limit_is_passed_over_and_the_others_stand(content: bytes, block: int, limit: int) -> None:
    whole = lines_of(content)
    found = lines_of(content, block=block, limit=limit)

    assert [(line.offset, line.end, line.finished) for line in found] == [
        (line.offset, line.end, line.finished) for line in whole
    ]
    kept = [line.data for line in whole if len((line.data or b"").rstrip(b"\n")) <= limit]
    assert [line.data for line in found if line.data is not None] == kept


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_ODD = (
    "1e400",
    "-0.0",
    "1E+2",
    "00",
    "NaN",
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\x01"',
    "[" * 150 + "]" * 150,
    "[" * 300,
)


@given(
    st.dictionaries(st.text(max_size=3), JSON, max_size=3).map(json.dumps), st.sampled_from(["", "x", " \n", "\xff"])
)
def test_both_parsers_read_the_same(text: str, after: str) -> None:
    assert_same((text + after).encode("latin-1"))


@pytest.mark.parametrize("value", _ODD)
def test_both_parsers_read_the_same_of_what_is_odd(value: str) -> None:
    assert_same(f'{{"a": {value}, "a": 1, "b": {value}}}'.encode())


def assert_same(data: bytes) -> None:
    """A line is read, or refused with the same words, as by the one parser that takes it all."""
    try:
        expected: object = lines._parse_any(data)
    except BrokenLine as error:
        with pytest.raises(BrokenLine, match=re.escape(str(error))):
            parse(data)
        return
    assert repr(parse(data)) == repr(expected)


def test_lines_appended_after_the_file_was_opened_are_left_for_the_next_run() -> None:
    content = b"one\ntwo\n"
    assert [line.data for line in read_lines(blocks_of(content, 8), 0, 4, 100)] == [b"one\n"]


@given(st.binary(max_size=20_000), st.lists(st.integers(0, 9000), max_size=6))
def test_an_anchor_led_along_is_the_anchor_of_the_bytes_it_passed(content: bytes, steps: list[int]) -> None:
    led = Anchor()
    for step in steps:
        led.advance(content[led.offset : led.offset + step])

    assert led.check() == Anchor.at(io.BytesIO(content), led.offset).check()


def test_an_anchor_differs_once_its_head_or_its_window_does() -> None:
    content = bytes(range(256)) * 100
    anchor = Anchor.at(io.BytesIO(content), 20_000)

    for place in (0, 4095, 20_000 - 4096, 19_999):
        changed = content[:place] + b"!" + content[place + 1 :]
        assert Anchor.at(io.BytesIO(changed), 20_000).check() != anchor.check()
    assert Anchor.at(io.BytesIO(content + b"more"), 20_000).check() == anchor.check()


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.text()))))
def test_every_object_reads_back_exactly(value: dict[str, object]) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (rb'{"a": "\ud800 alone"}', {"a": "\ud800 alone"}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "caf\xe9"}', {"a": "caf\udce9"}),
        (rb'{"a": "\u0000"}', {"a": "\x00"}),
        (b'  {"a": 1}\r\n', {"a": 1}),
    ],
)
def test_awkward_but_readable_lines_are_read_without_loss(data: bytes, expected: dict[str, object]) -> None:
    assert parse(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"not json",
        b"[1, 2]",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": 1}{"b": 2}',
        b'{"a": ' + b"1" * 5000 + b"}",
        b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"a": "\xff' + rb'\ud800", "b": ' + b"[" * 100_000,
    ],
)
def test_what_is_not_a_readable_object_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenLine):
        parse(data)


def test_the_word_on_a_broken_line_holds_nothing_of_it() -> None:
    with pytest.raises(BrokenLine) as caught:
        parse(b'{"token": hunter2}')
    assert "hunter2" not in str(caught.value)
