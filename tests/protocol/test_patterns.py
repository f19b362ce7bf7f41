"""A member's name stands for itself, or for all that its pattern fits."""

from __future__ import annotations

import pytest

from pdpp_worker.protocol.patterns import is_pattern, stands_for


@pytest.mark.parametrize(
    ("member", "name", "fits"),
    [
        ("chats.json", "chats.json", True),
        ("chats.json", "chats-json", False),
        ("todos/*.json", "todos/a.json", True),
        ("todos/*.json", "plans/a.json", False),
        ("holograms/**/*.bin", "holograms/1.bin", True),
        ("holograms/**/*.bin", "holograms/a/b/1.bin", True),
        ("<project>/memory/**/*.md", "garden/memory/notes.md", True),
        ("<project>/memory/**/*.md", "garden/notes.md", False),
        ("a[1].txt", "a[1].txt", True),
        ("a[1].txt", "a1.txt", False),
    ],
)
def test_a_name_or_a_pattern(member: str, name: str, fits: bool) -> None:
    assert stands_for(member, name) is fits


@pytest.mark.parametrize(
    ("name", "several"), [("a.json", False), ("*.json", True), ("a?", True), ("<project>/a", True)]
)
def test_what_stands_for_several(name: str, several: bool) -> None:
    assert is_pattern(name) is several
