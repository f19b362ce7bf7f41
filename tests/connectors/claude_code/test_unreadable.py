"""Files that cannot or must not be read are a gap or a skip that says why, and no other file suffers."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from connectors.claude_code import transcript, walk
from connectors.claude_code.transcript import open_file
from pdpp_worker.connector import Reason, Record
from tests.connectors.claude_code.logs import (
    MAIN,
    PROJECT,
    A,
    B,
    Outcome,
    encoded,
    run,
    said,
    stream_messages,
    uuids,
    write,
)

FILE = f"{PROJECT}/{A}.jsonl"


Drop = Callable[[], AbstractContextManager[None]]


def test_an_unreadable_file_is_a_gap_that_closes_when_it_is_read(open_root: Path, as_plain_user: Drop) -> None:
    locked = write(open_root / FILE, said("u1"))
    write(open_root / PROJECT / f"{B}.jsonl", said("b1", session=B))
    locked.chmod(0)
    with as_plain_user():
        first = run(open_root)
    locked.chmod(0o644)
    with as_plain_user():
        second = run(open_root, first.state)

    assert uuids(first) == ["b1"]
    assert [(gap.stream, gap.record_key, gap.reason) for gap in first.gaps] == [
        ("messages", FILE, Reason.SOURCE_PARTITION_FAILED)
    ]
    assert uuids(second) == ["u1"]
    assert ("messages", FILE) in second.closed


def test_an_unlisted_directory_is_a_gap_that_closes_and_forgets_nothing(open_root: Path, as_plain_user: Drop) -> None:
    write(open_root / FILE, said("u1"))
    write(open_root / "-other" / f"{B}.jsonl", said("b1", session=B))
    state = run(open_root).state
    (open_root / PROJECT).chmod(0)
    with as_plain_user():
        first = run(open_root, state)
    (open_root / PROJECT).chmod(0o755)
    second = run(open_root, first.state)

    assert [gap.record_key for gap in first.gaps] == [PROJECT]
    assert ("messages", PROJECT) in second.closed
    assert second.records == []


class FailingDisk(io.FileIO):
    """A file whose disk fails after so many bytes."""

    good = 0

    def readinto(self, buffer: Any) -> int:
        left = self.good - self.tell()
        if left <= 0:
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(memoryview(buffer)[:left]) or 0


def test_what_a_failing_disk_still_gave_is_kept_and_the_rest_is_a_gap(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root / FILE, said("u1"), b"broken", said("u2"))
    monkeypatch.setattr(FailingDisk, "good", path.stat().st_size - 10)
    monkeypatch.setattr(walk, "open_file", lambda path: io.BufferedReader(FailingDisk(path, "rb")))
    first = run(root)
    monkeypatch.setattr(walk, "open_file", open_file)

    second = run(root, first.state)

    assert uuids(first) == ["u1"]
    assert {gap.reason for gap in first.gaps} == {Reason.PARSE_FAILED, Reason.SOURCE_PARTITION_FAILED}
    assert uuids(second) == ["u2"]
    assert ("messages", FILE) in second.closed


def rewrite_after_first(root: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, Outcome]:
    """Run while the file gets other content once its first record is out; then run again."""
    monkeypatch.setattr(transcript, "BLOCK_BYTES", 16)
    path = root / FILE
    first = Outcome()
    for message in stream_messages(root):
        if not first.records and isinstance(message, Record):
            path.write_bytes(content)
            os.utime(path, (5, 5))
        first.sent.append(message)
    return first, run(root, first.state)


@pytest.mark.parametrize("extra", [0, 3, 10])
def test_a_file_rewritten_while_it_is_read_is_read_anew_and_no_false_gap_opens(
    root: Path, monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    write(root / FILE, *(said(f"u{n}", "x" * n) for n in range(20)))
    new = [said(f"n{n}", "y" * (n + extra)) for n in range(20)]

    first, second = rewrite_after_first(root, encoded(*new), monkeypatch)

    assert not first.gaps
    assert uuids(second) == [line["uuid"] for line in new]


def test_a_file_truncated_while_it_is_read_is_read_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / FILE, *(said(f"u{n}") for n in range(20)))

    first, second = rewrite_after_first(root, encoded(said("n1")), monkeypatch)

    assert not first.gaps
    assert uuids(second) == ["n1"]


def test_lines_appended_while_it_is_read_come_with_the_next_run(root: Path) -> None:
    path = write(root / FILE, said("u1"), said("u2"))
    first = Outcome()
    for message in stream_messages(root):
        if not first.sent:
            write(path, said("u3"), append=True)
        first.sent.append(message)

    assert uuids(first) == ["u1", "u2"]
    assert uuids(run(root, first.state)) == ["u3"]


def test_a_missing_projects_directory_is_a_skip_that_says_what_to_set(root: Path) -> None:
    outcome = run(root / "nowhere")

    assert {one.stream for one in outcome.skips} == set(MAIN)
    assert all("projects_dir" in one.message for one in outcome.skips)
    assert not outcome.state


def test_filters_that_leave_nothing_are_a_skip(root: Path) -> None:
    write(root / FILE, said("u1"))

    assert all("include" in one.message for one in run(root, include="typo").skips)
    assert run(root, include="typo").skips


@pytest.mark.parametrize("target", ["loop", "..", ".", "/", PROJECT])
def test_a_link_that_leads_back_or_nowhere_is_left_alone(root: Path, target: str) -> None:
    (root / "loop").symlink_to(target)
    write(root / FILE, said("u1"))

    outcome = run(root)

    assert outcome.ids("messages") == [f"{A}#u1"]
    assert not outcome.skips
    assert not outcome.gaps


def test_a_link_to_a_secret_is_not_read_and_says_why(root: Path) -> None:
    commands = root.parent / "commands"
    commands.mkdir()
    (root.parent / "settings.json").write_text("secret")
    (commands / "x.md").symlink_to("../settings.json")

    outcome = run(root, None, ("slash_commands",))

    assert outcome.records == []
    assert [(gap.record_key, gap.last_error) for gap in outcome.gaps] == [
        ("commands:x", "a link, which is not followed; put the file itself there")
    ]


def test_a_pipe_in_the_place_of_a_document_is_a_gap(root: Path) -> None:
    skill = root.parent / "skills" / "s"
    skill.mkdir(parents=True)
    os.mkfifo(skill / "SKILL.md")

    outcome = run(root, None, ("skills",))

    assert outcome.records == []
    assert [gap.reason for gap in outcome.gaps] == [Reason.SOURCE_PARTITION_FAILED]
