"""The sample for the demonstration: the same from the same seed, with every kind of damage in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from connectors.claude_code.practice.sample_logs import append_activity, write_sample
from tests.connectors.claude_code.logs import run

Drop = Callable[[], AbstractContextManager[None]]


def contents(directory: Path) -> dict[str, bytes]:
    """Every file's bytes."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_one_seed_writes_one_sample(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / name, seed)
        (tmp_path / name).chmod(0o755)
        for path in (tmp_path / name).rglob("*.jsonl"):
            path.chmod(0o644)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_a_first_run_finds_all_of_it_and_two_gaps(root: Path) -> None:
    write_sample(root, 1)

    outcome = run(root, None, ("sessions", "messages", "attachments", "memory_notes"))

    expected = {"parse_failed"} if os.geteuid() == 0 else {"parse_failed", "source_partition_failed"}
    assert len(outcome.gaps) == 2
    assert {gap.reason for gap in outcome.gaps} == expected
    assert len(outcome.ids("attachments")) == 1
    assert len(outcome.ids("memory_notes")) == 1
    assert any(key.rsplit("#", 1)[0].endswith("subagents/agent-a1f3") for key in outcome.ids("messages"))
    assert "unfinished line" in str(outcome.sent)


def test_the_next_run_finds_just_what_was_added(root: Path) -> None:
    write_sample(root, 1)
    state = run(root).state
    locked = 0 if os.geteuid() == 0 else 6 * 4

    append_activity(root, 1)
    after = run(root, state)

    assert len(after.ids("messages")) == 8 + 8 + 1 + locked
    assert len(after.ids("attachments")) == 1
    assert not after.gaps


def test_a_plain_user_meets_a_locked_transcript_that_opens_later(open_root: Path, as_plain_user: Drop) -> None:
    open_root.chmod(0o777)
    with as_plain_user():
        write_sample(open_root, 1)
        first = run(open_root)
        append_activity(open_root, 1)
        second = run(open_root, first.state)

    locked = next(gap for gap in first.gaps if gap.reason == "source_partition_failed")
    assert ("messages", locked.record_key) in second.closed


def test_activity_can_be_added_again_and_again(root: Path) -> None:
    write_sample(root, 1)
    append_activity(root, 1)
    state = run(root).state

    append_activity(root, 1)

    assert len(run(root, state).ids("messages")) == 16
