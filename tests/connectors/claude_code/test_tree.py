"""The scan finds all files of known kinds, leaves others alone, and names lead back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.claude_code.tree import encode_name, locate, scan
from tests.connectors.claude_code.logs import PROJECT, A, run, said, write


def test_dot_files_and_unknown_files_are_left_alone_and_counted(root: Path) -> None:
    for name in (".hidden.jsonl", "settings.json", f"{A}/notes.txt", "memory/picture.png"):
        write(root / PROJECT / name, said("u1"))
    write(root / ".hidden" / f"{A}.jsonl", said("u1"))
    write(root / f"{A}.jsonl", said("u1"))

    tree = scan(root, lambda _: True)

    assert (tree.transcripts, tree.notes, tree.results) == ([], [], {})
    assert (len(tree.others), tree.links, tree.hidden) == (4, 0, 2)
    assert "4 files" in run(root).sent[0].model_dump()["message"]


def test_links_are_not_followed(root: Path) -> None:
    secret = root.parent / "auth.jsonl"
    write(secret, said("u1"))
    write(root / PROJECT / f"{A}.jsonl", said("u1"))
    (root / PROJECT / "link.jsonl").symlink_to(secret)
    (root / PROJECT / A).mkdir()
    (root / PROJECT / A / "loop").symlink_to(root / PROJECT)
    (root / "-again").symlink_to(root / PROJECT)

    tree = scan(root, lambda _: True)

    assert [found.name for found in tree.transcripts] == [f"{PROJECT}/{A}.jsonl"]
    assert tree.links == 3


def test_a_project_that_was_moved_away_and_linked_is_found_once(root: Path) -> None:
    write(root.parent / "disk" / f"{A}.jsonl", said("u1"))
    for name in ("-moved", "-moved-too"):
        (root / name).symlink_to(root.parent / "disk")

    assert [found.name for found in scan(root, lambda _: True).transcripts] == [f"-moved/{A}.jsonl"]


def test_a_pipe_is_no_transcript(root: Path) -> None:
    (root / PROJECT).mkdir()
    os.mkfifo(root / PROJECT / f"{A}.jsonl")

    assert scan(root, lambda _: True).transcripts == []


def test_names_of_any_bytes_are_read_and_stay_plain_text(root: Path) -> None:
    odd = Path(os.fsdecode(b"-caf\xe9 \xf0\x9f\x98\x80#@%"))
    write(root / odd / f"{A}.jsonl", said("u1"))

    outcome = run(root)

    assert outcome.ids("messages") == [f"{A}#u1"]
    assert outcome.records[0].data["file"] == f"-caf%E9%20%F0%9F%98%80%23%40%25/{A}.jsonl"
    assert run(root, outcome.state).records == []


@given(
    st.binary(min_size=1, max_size=30).filter(lambda name: not {0, ord("/")} & set(name) and name not in (b".", b".."))
)
def test_a_name_leads_back_to_its_file(name: bytes) -> None:
    path = os.fsdecode(name)

    encoded = encode_name(path)

    assert encoded.isascii()
    assert locate(Path("/top"), encoded) == Path("/top") / path


@pytest.mark.parametrize("name", ["..", "a/../../b", "%2E%2E/x", "/etc/passwd", "%2Fetc"])
def test_a_name_never_leads_out(name: str) -> None:
    with pytest.raises(PermissionError):
        locate(Path("/top"), name)
