"""Of a line that is too long only its short members are kept, wherever the line is cut and whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdpp_worker.command.lines import BoundedLines
from pdpp_worker.command.outline import MEMBER_BYTES, Outline
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import LongRecord

RECORD: dict[str, Any] = {"type": "RECORD", "stream": "items", "key": "a", "emitted_at": "2026-01-01T00:00:00Z"}
LONG = "x" * (MEMBER_BYTES + 1)

texts = st.text(st.sampled_from('\\"{}[],:xé\u2028\n'), max_size=20)
values = st.recursive(texts | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
members_of = st.dictionaries(texts, values, max_size=4)


def outline(line: bytes, size: int = 1 << 20) -> Outline:
    """The outline of a line that comes in chunks of this size."""
    one = Outline()
    for at in range(0, len(line), size):
        one.feed(line[at : at + size])
    return one


@settings(max_examples=30)
@given(members_of, st.integers(1, 9), st.booleans())
def test_short_members_are_kept_wherever_the_line_is_cut(members: dict[str, Any], size: int, plain: bool) -> None:
    line = json.dumps(members, ensure_ascii=plain).encode()

    one = outline(line, size)

    assert (one.members, one.size) == (members, len(line))


@settings(max_examples=30)
@given(values)
def test_a_long_member_is_left_out_and_hides_no_other(value: Any) -> None:
    line = json.dumps({"stream": "items", "data": {"key": "another", "x": [value, LONG]}, "key": "a"}).encode()

    assert outline(line, 1000).members == {"stream": "items", "key": "a"}


def test_a_key_of_several_parts_names_its_record() -> None:
    message = outline(json.dumps({**RECORD, "key": ["a", "b"], "data": {"x": LONG}}).encode()).message(10)

    assert isinstance(message, LongRecord)
    assert (message.key, message.data) == (["a", "b"], {})


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"type": "PROGRESS", "message": LONG}, "neither a RECORD nor a STATE"),
        ({"type": LONG}, "neither a RECORD nor a STATE"),
        ({"type": ["RECORD"]}, "neither a RECORD nor a STATE"),
        ({**RECORD, "key": LONG}, "which one it is cannot be told: key: Field required"),
    ],
)
def test_what_has_no_name_is_a_violation(members: dict[str, Any], why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        outline(json.dumps(members).encode()).message(10)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line and line.strip())), st.integers(1, 50))
def test_lines_within_the_limit_are_whole_and_each_longer_one_is_counted(lines: list[bytes], size: int) -> None:
    text = b"".join(line + b"\n" for line in lines)
    cut = BoundedLines(30)

    found = [line for at in range(0, len(text), size) for line in cut.feed(text[at : at + size])]

    assert [one.size if isinstance(one, Outline) else len(one) for one in found] == [len(line) for line in lines]
    assert all(one == line for one, line in zip(found, lines, strict=True) if len(line) <= 30)
    assert cut.size == 0
