"""Files that are cut, come back whole, are written again or lie behind a mount point: nothing is lost or doubled."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.claude_code import recover, transcript
from pdpp_worker.connector import GapToClose, Reason, ResourceScope
from tests.connectors.claude_code.logs import (
    MAIN,
    PROJECT,
    A,
    B,
    Held,
    Outcome,
    encoded,
    run,
    said,
    stream_messages,
    to_close,
    uuids,
    write,
)

FILE = f"{PROJECT}/{A}.jsonl"
AN_HOUR_AGO = time.time() - 3600


def write_bytes(path: Path, data: bytes, at: float = AN_HOUR_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def test_a_snapshot_that_ends_in_a_line_is_read_on_from_the_beginning_of_that_line(root: Path) -> None:
    whole = encoded(said("u1"), said("u2", "the answer"), said("u3"))
    first_line = len(encoded(said("u1")))
    for cut in range(first_line + 1, len(whole) - 1):
        path = write_bytes(root / FILE, whole[:cut])
        first = run(root)
        write_bytes(path, whole, AN_HOUR_AGO + 60)
        second = run(root, first.state)

        held = Held().take(first.sent).take(second.sent)
        assert [one["uuid"] for one in held["messages"].values()] == ["u1", "u2", "u3"]
        assert held["sessions"][A]["message_count"] == 3
        assert {("messages", gap.record_key) for gap in first.gaps} <= second.closed


def test_a_file_that_is_whole_again_closes_the_gaps_of_its_broken_places(root: Path) -> None:
    write(root / FILE, said("u1"), b"\0" * 200, said("u3"))
    first = run(root)
    write(root / FILE, said("u1"), said("u2"), said("u3"))

    second = run(root, first.state)

    assert ("messages", first.gaps[0].record_key) in second.closed
    assert not run(root, second.state).closed


def test_a_time_of_the_future_does_not_hide_an_unfinished_line(root: Path) -> None:
    write_bytes(root / FILE, encoded(said("u1")) + b'{"type":"user","uuid":"u2","mess', time.time() + 400 * 86_400)

    assert [gap.reason for gap in run(root).gaps] == [Reason.PARSE_FAILED]


def test_a_line_that_is_being_written_when_a_long_walk_comes_to_it_is_no_gap(root: Path) -> None:
    write(root / FILE, said("u1"))
    path = write_bytes(root / PROJECT / f"{B}.jsonl", encoded(said("v1", session=B)))
    messages = stream_messages(root)
    first = next(messages)
    with path.open("ab") as file:
        file.write(encoded(said("v2", session=B))[:40])

    outcome = Outcome([first, *messages])

    assert uuids(outcome) == ["u1", "v1"]
    assert not outcome.gaps


def test_a_tool_result_that_takes_the_place_of_another_is_read(root: Path) -> None:
    results = root / PROJECT / A / "tool-results"
    write_bytes(results / "a.txt", b"a", 1000)
    write_bytes(results / "b.txt", b"b", 1200)
    first = run(root)
    (results / "a.txt").unlink()
    write_bytes(results / "c.txt", b"c", 1100)

    assert any(key.endswith("c.txt") for key in run(root, first.state).ids("attachments"))


def test_a_rewritten_file_does_not_double_its_lines_without_uuid(root: Path) -> None:
    lines = [{"type": "summary", "summary": f"s{n}", "leafUuid": f"l{n}"} for n in range(5)]
    write(root / FILE, said("u0"), *lines)
    first = run(root)
    write(root / FILE, said("u0", "edited to another length"), *lines)

    held = Held().take(first.sent).take(run(root, first.state).sent)

    assert len(held["attachments"]) == 5


def test_lines_under_the_keys_of_the_version_before_move_to_their_new_keys(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / FILE, said("u0"), *({"type": "summary", "summary": f"s{n}"} for n in range(5)))
    state = run(root).state["sessions"]
    old: dict[str, Any] = {name: state[name] for name in ("streams", "files", "unlisted")}
    old |= {"version": 1, "results": {}}
    monkeypatch.setattr("connectors.claude_code.stream_counts.RECORDS_PER_STATE", 3)

    after = run(root, {"sessions": old})

    gone = [record.key for record in after.records if record.op == "delete"]
    assert len(gone) == 6
    assert not set(gone) & {record.key for record in after.records if record.op != "delete"}
    assert Held().take(after.sent)["sessions"][A]["message_count"] == 1
    assert not run(root, after.state).records


@pytest.mark.parametrize("streams", [MAIN, ("memory_notes",)])
def test_an_empty_mount_point_is_missing_and_forgets_nothing(root: Path, streams: tuple[str, ...]) -> None:
    write(root / FILE, said("u1"))
    write(root / PROJECT / "memory" / "note.md", b"text")
    first = run(root, None, streams)
    (root / PROJECT).rename(root.parent / "elsewhere")
    without = run(root, first.state, streams)
    (root.parent / "elsewhere").rename(root / PROJECT)

    assert [skip.reason for skip in without.skips] == [Reason.SOURCE_PARTITION_FAILED] * len(streams)
    assert without.state == first.state
    assert not run(root, without.state, streams).records


def test_an_empty_directory_of_the_tool_is_missing_too(root: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    write(home / "commands" / "ship.md", b"text")
    first = run(root, None, ("slash_commands",), claude_dir=str(home))
    shutil.rmtree(home / "commands")

    assert run(root, first.state, ("slash_commands",), claude_dir=str(home)).skips


def test_the_tools_directory_alone_means_its_own_projects(tmp_path: Path) -> None:
    other = tmp_path / ".claude-work"
    write(tmp_path / ".claude" / "projects" / FILE, said("private"))
    write(other / "projects" / FILE, said("work"))

    assert uuids(run(tmp_path, projects_dir="", claude_dir=str(other))) == ["work"]


def rejected(stream: str, key: str) -> GapToClose:
    """The gap of a record that an earlier version's shape had no room for."""
    scope = ResourceScope(resource_id=key)
    return GapToClose(gap_id="7", stream=stream, scope=scope, reason="record_rejected")


def test_a_rejected_record_is_sent_again_whatever_it_is_and_however_long_its_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / FILE, said("u1"), said("u2", "x" * 5000))
    write(root / PROJECT / A / "tool-results" / "r.txt", b"r")
    write(root / PROJECT / "memory" / "note.md", b"text")
    streams = (*MAIN, "memory_notes")
    first = run(root, None, streams)
    monkeypatch.setattr(recover, "MAX_FILE_BYTES", 1000)
    kinds = [("messages", "#u1"), ("attachments", "r.txt"), ("memory_notes", "note.md")]
    keys = [(stream, next(key for key in first.ids(stream) if key.endswith(end))) for stream, end in kinds]

    again = run(root, first.state, streams, gaps=[rejected(*each) for each in keys], recovery_only=True)

    assert [(record.stream, record.key) for record in again.records] == keys
    assert run(root, first.state, gaps=[rejected("sessions", A)]).ids("sessions") == [A]


def test_a_session_counts_the_line_that_was_recovered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / FILE, said("u1"), said("u2", "x" * 5000), said("u3"))
    with monkeypatch.context() as older:
        older.setattr(transcript, "MAX_LINE_BYTES", 1000)
        first = run(root)
    again = run(root, first.state, gaps=[to_close(first.gaps[0])], recovery_only=True)
    second = run(root, first.state)

    held = Held().take(first.sent).take(again.sent).take(second.sent)
    assert held["sessions"][A]["message_count"] == len(held["messages"]) == 3
    assert ("messages", first.gaps[0].record_key) in second.closed


def test_a_line_that_is_not_one_record_gives_what_is_whole(root: Path) -> None:
    one, other = encoded(said("u1")).strip(), encoded(said("u2")).strip()
    write(root / FILE, one + other, b"\0" * 40 + encoded(said("u3")).strip())
    cut = b'{"type":"assistant","message":{"content":[{"type":"text","text":"hi"}'
    write(root / FILE, cut + encoded(said("u4")).strip(), said("u5"), append=True)

    outcome = run(root)

    assert uuids(outcome) == ["u1", "u2", "u3", "u4", "u5"]
    assert not outcome.ids("attachments")
    assert [gap.detail_locator["lines"] for gap in outcome.gaps if gap.detail_locator] == [1]


def test_different_lines_under_one_uuid_are_different_records_and_copies_are_one(root: Path) -> None:
    lines = [said("same", text, session=A) for text in ("one", "two", "one", "two", "three")]
    write(root / FILE, said("u1"), *lines)
    write(root / PROJECT / f"{B}.jsonl", said("b1", session=B), lines[0])
    whole = Held().take(run(root).sent)
    path = write(root / FILE, said("u1"), *lines[:2])
    first = run(root)
    write(path, *lines[2:], append=True)
    parts = Held().take(first.sent).take(run(root, first.state).sent)

    assert sorted(one["content"] for one in whole["messages"].values() if one["file"] == FILE) == [
        "hello",
        "one",
        "three",
        "two",
    ]
    assert whole["sessions"][A]["message_count"] == len(
        [one for one in whole["messages"].values() if one["session_id"] == A]
    )
    assert parts.data == whole.data
