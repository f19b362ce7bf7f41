"""Tool results: each file once."""

from __future__ import annotations

import os
from pathlib import Path

from tests.connectors.claude_code.logs import (
    PROJECT,
    A,
    Held,
    run,
    write,
)

FILE = f"{PROJECT}/{A}.jsonl"


def test_new_tool_results_are_read_once(root: Path) -> None:
    results = root / PROJECT / A / "tool-results"
    old = write(results / "old.txt", b"old")
    os.utime(old, (1000, 1000))
    (results / "raw.bin").write_bytes(b"\xff\xfe")
    state = run(root).state

    write(results / "new.txt", b"new")
    after = run(root, state)

    assert [key.rsplit("/", 1)[1] for key in after.ids("attachments")] == ["new.txt"]
    assert after.records[0].data["content"] == "new\n"
    first = Held().take(run(root).sent)["attachments"]
    assert first[f"{A}/tool-results/raw.bin"]["content_base64"] == "//4="


def test_a_tool_result_put_back_with_an_old_time_is_found(root: Path) -> None:
    results = root / PROJECT / A / "tool-results"
    write(results / "a.txt", b"a")
    state = run(root).state

    os.utime(write(results / "b.txt", b"b"), (1000, 1000))

    assert any(key.endswith("b.txt") for key in run(root, state).ids("attachments"))
