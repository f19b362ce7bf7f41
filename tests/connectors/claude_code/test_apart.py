"""A large tree is walked in a process of its own, which says the same as the worker's own walk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.claude_code import apart
from connectors.claude_code.walk import TranscriptWalk
from pdpp_worker.confined import beside
from pdpp_worker.confined.places import Places
from pdpp_worker.connector import Message
from tests.connectors.claude_code.logs import PROJECT, A, B, run, said, write

STREAMS = ("sessions", "messages", "attachments", "usage", "subagents")


@pytest.fixture
def many(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Transcripts with broken lines and texts of all kinds, and a tool's output; any size is large."""
    monkeypatch.setattr(beside, "_PLACES", Places(1))
    monkeypatch.setattr(beside, "named", None)  # the worker itself walks none
    monkeypatch.setattr(apart, "WORTH_BYTES", 1)
    odd = b'{"type":"user","uuid":"odd","sessionId":"%s","message":{"content":"\xff\\ud800","n":%d}}' % (
        A.encode(),
        2**70,
    )
    lines = (said(f"u{number}", "é" * number, second=number) for number in range(300))
    write(root / PROJECT / f"{A}.jsonl", *lines, b"\0\0", odd)
    write(root / PROJECT / f"{B}.jsonl", said("v1", session=B))
    write(root / PROJECT / A / "tool-results" / "one.txt", b"an output")
    return root


def in_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no size be large."""
    monkeypatch.setattr(apart, "WORTH_BYTES", 1 << 60)


def told(root: Path, state: dict[str, object] | None = None) -> list[object]:
    """The messages of a run, but for their times."""
    sent = run(root, state, STREAMS).sent
    return [{**message.model_dump(), "emitted_at": None} for message in sent]


@pytest.mark.process
def test_the_other_process_says_the_same(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside_the_worker = told(many)

    in_the_worker(monkeypatch)

    assert beside_the_worker == told(many)


@pytest.mark.process
def test_a_tree_below_a_directory_whose_name_is_no_text_is_walked_there_too(many: Path) -> None:
    moved = many.rename(many.with_name(os.fsdecode(b"caf\xe9")))

    assert run(moved, None, STREAMS).records


def test_a_tree_that_was_read_starts_no_process(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_worker(monkeypatch)
    before = run(many, None, STREAMS).state
    monkeypatch.setattr(apart, "WORTH_BYTES", 1)
    monkeypatch.setattr(beside, "Child", None)

    assert not run(many, before, STREAMS).records


def test_only_what_was_added_counts_as_unread(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_worker(monkeypatch)
    before = run(many, None, STREAMS).state
    path = many / PROJECT / f"{B}.jsonl"
    size = path.stat().st_size
    write(path, said("v2", session=B), append=True)
    unread: list[int] = []
    walk = TranscriptWalk.run

    def noting(self: TranscriptWalk) -> Iterator[Message]:
        unread.append(self.unread_bytes)
        return walk(self)

    monkeypatch.setattr(TranscriptWalk, "run", noting)

    run(many, before, STREAMS)

    assert unread == [path.stat().st_size - size]
