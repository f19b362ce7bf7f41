"""The text of every content type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chatgpt.content import _READERS, content_text

IMAGE = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1", "width": 3}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"content_type": "text", "parts": ["one", "", "two"]}, "one\n\ntwo"),
        ({"content_type": "text", "parts": []}, ""),
        ({"content_type": "text", "text": "bare"}, "bare"),
        ({"content_type": "text", "parts": [{"text": "spoken"}, IMAGE]}, "spoken\n[asset:file-service://file-1]"),
        ({"content_type": "multimodal_text", "parts": [IMAGE, "", "words"]}, "[asset:file-service://file-1]\nwords"),
        ({"content_type": "code", "language": "sql", "text": "select 1"}, "```sql\nselect 1\n```"),
        ({"content_type": "code", "text": "x"}, "```\nx\n```"),
        (
            {"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "c"}, {"summary": "t"}]},
            "s\nc\n\nt",
        ),
        ({"content_type": "reasoning_recap", "content": "for 3 s"}, "for 3 s"),
        ({"content_type": "reasoning_recap", "text": "for 4 s"}, "for 4 s"),
        ({"content_type": "tether_browsing_display", "summary": None, "result": "found"}, "found"),
        ({"content_type": "tether_quote", "title": "T", "url": "u", "text": "q"}, "T\nu\nq"),
        ({"content_type": "execution_output", "text": "42"}, "42"),
        ({"content_type": "model_editable_context", "model_set_context": "m", "repo_summary": "r"}, "m\nr"),
        ({"content_type": "user_editable_context", "user_profile": "p", "user_instructions": "i"}, "p\ni"),
        ({"content_type": "system_error", "name": "n", "text": "t"}, "n: t"),
        (None, None),
        ("bare", "bare"),
    ],
)
def test_known_types_give_their_text(content: Any, expected: str | None) -> None:
    assert content_text(content) == expected


@pytest.mark.parametrize(
    "content",
    [
        {"content_type": "hologram", "scene": {"depth": 3}},
        {"content_type": "code", "source": "moved elsewhere"},
        {"parts": ["no type"]},
        {"content_type": ["odd"], "parts": []},
        ["not an object"],
    ],
)
def test_what_is_not_recognised_is_kept_as_json(content: Any) -> None:
    assert json.loads(content_text(content) or "") == content


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from([*_READERS, "unknown"])
FIELDS = st.sampled_from(["parts", "text", "language", "thoughts", "content", "summary", "result", "name", "title"])


@given(TYPES, st.dictionaries(FIELDS, JSON))
def test_a_known_type_with_odd_fields_still_gives_text(content_type: str, fields: dict[str, Any]) -> None:
    assert isinstance(content_text({"content_type": content_type, **fields}), str)


@given(st.text(st.characters()))
def test_text_passes_unharmed(words: str) -> None:
    assert content_text({"content_type": "text", "parts": [words]}) == words
