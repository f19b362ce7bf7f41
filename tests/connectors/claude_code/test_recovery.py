"""Known gaps are tried by the place they name, and close only by proof."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from connectors.claude_code import records, recover, transcript
from pdpp_worker.connector import Budget, DetailGap, DetailGapRecovered, GapToClose, Reason, State
from tests.connectors.claude_code.logs import (
    PROJECT,
    A,
    Outcome,
    encoded,
    run,
    said,
    to_close,
    write,
)

Drop = Callable[[], AbstractContextManager[None]]
FILE = f"{PROJECT}/{A}.jsonl"
RESULT = f"{PROJECT}/{A}/tool-results/r.txt"


def retry(root: Path, gap: DetailGap, *streams: str, **more: Any) -> Outcome:
    """A recovery run for one gap."""
    more = {"gaps": [to_close(gap)], "recovery_only": True} | more
    return run(root, None, streams or ("sessions", "messages", "attachments"), **more)


def recovered(outcome: Outcome) -> list[tuple[str, bool]]:
    """Each closed gap, and whether it closed because there is nothing."""
    return [(m.gap_id, m.absent) for m in outcome.sent if isinstance(m, DetailGapRecovered)]


@pytest.fixture
def long_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> DetailGap:
    """The gap of a line that an older version found too long."""
    write(root / FILE, said("u1"), said("u2", "x" * 5000), said("u3"))
    with monkeypatch.context() as older:
        older.setattr(transcript, "MAX_LINE_BYTES", 1000)
        return run(root).gaps[0]


def test_a_line_that_can_be_read_now_is_recovered_alone(root: Path, long_line: DetailGap) -> None:
    outcome = retry(root, long_line)

    assert [record.data["uuid"] for record in outcome.records] == ["u2"]
    assert recovered(outcome) == [("7", False)]
    assert not any(isinstance(message, State) for message in outcome.sent)


def test_a_line_that_is_still_broken_stays_a_gap(root: Path) -> None:
    write(root / FILE, b"broken")
    outcome = retry(root, run(root).gaps[0])

    assert [(gap.gap_id, gap.reason) for gap in outcome.gaps] == [("7", Reason.PARSE_FAILED)]
    assert not recovered(outcome)


def test_a_line_that_is_gone_from_its_file_closes_as_absent(root: Path, long_line: DetailGap) -> None:
    write(root / FILE, said("n1"))

    assert recovered(retry(root, long_line)) == [("7", True)]


def test_the_line_now_at_the_place_must_begin_there(root: Path, long_line: DetailGap) -> None:
    write(root / FILE, said("n1", "y" * 9000))

    assert recovered(retry(root, long_line)) == [("7", True)]


def test_a_removed_file_is_absent_but_a_removed_project_may_come_back(root: Path, long_line: DetailGap) -> None:
    (root / FILE).unlink()
    without_file = retry(root, long_line)
    (root / PROJECT).rmdir()
    without_project = retry(root, long_line)

    assert recovered(without_file) == [("7", True)]
    assert not recovered(without_project)
    assert [gap.reason for gap in without_project.gaps] == [Reason.SOURCE_PARTITION_FAILED]


@pytest.fixture
def locked(open_root: Path, as_plain_user: Drop) -> tuple[Path, DetailGap]:
    """A transcript that could not be read, and its gap."""
    path = write(open_root / FILE, said("u1"), b"broken", said("u2"))
    path.chmod(0)
    with as_plain_user():
        return path, run(open_root).gaps[0]


def test_a_readable_transcript_is_read_by_a_run_that_only_recovers(
    open_root: Path, locked: tuple[Path, DetailGap]
) -> None:
    locked[0].chmod(0o644)
    outcome = retry(open_root, locked[1])

    assert [record.data["uuid"] for record in outcome.records] == ["u1", "u2"]
    assert recovered(outcome) == [("7", False)]


def test_a_transcript_still_locked_stays_a_gap(
    open_root: Path, locked: tuple[Path, DetailGap], as_plain_user: Drop
) -> None:
    with as_plain_user():
        outcome = retry(open_root, locked[1])

    assert [gap.gap_id for gap in outcome.gaps] == ["7"]


def test_a_transcript_is_left_to_the_walk_that_follows(open_root: Path, locked: tuple[Path, DetailGap]) -> None:
    locked[0].chmod(0o644)
    outcome = retry(open_root, locked[1], recovery_only=False)

    assert len(outcome.ids("messages")) == 2
    assert not recovered(outcome)
    assert ("messages", FILE) in outcome.closed


def test_a_transcript_too_long_for_a_recovery_is_left_to_a_walk(
    open_root: Path, locked: tuple[Path, DetailGap], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked[0].chmod(0o644)
    monkeypatch.setattr(recover, "MAX_FILE_BYTES", 10)
    outcome = retry(open_root, locked[1])

    assert not outcome.records
    assert [gap.gap_id for gap in outcome.gaps] == ["7"]


def test_a_directory_is_recovered_with_all_its_transcripts(open_root: Path, as_plain_user: Drop) -> None:
    write(open_root / FILE, said("u1"))
    write(open_root / PROJECT / "memory" / "note.md", b"text")
    (open_root / PROJECT).chmod(0)
    with as_plain_user():
        messages, notes = run(open_root, None, ("sessions", "messages", "memory_notes")).gaps
    (open_root / PROJECT).chmod(0o755)

    assert retry(open_root, messages).records[0].data["uuid"] == "u1"
    assert retry(open_root, notes, "memory_notes").records[0].data["content"] == "text\n"


def test_a_tool_result_too_large_for_an_older_version_is_recovered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / RESULT, b"x" * 5000)
    with monkeypatch.context() as older:
        older.setattr(records, "MAX_LINE_BYTES", 1000)
        first = run(root)
        still = retry(root, first.gaps[0])

    assert [gap.reason for gap in (*first.gaps, *still.gaps)] == [Reason.PARSE_FAILED] * 2
    assert not run(root, first.state).gaps
    outcome = retry(root, first.gaps[0], recovery_only=False)
    assert recovered(outcome) == [("7", False)]


def test_a_gap_that_names_no_place_of_ours_stays_a_gap(root: Path) -> None:
    gap = DetailGap(stream="messages", record_key="?", reason="parse_failed", detail_locator={"page": 1})

    assert [one.gap_id for one in retry(root, gap).gaps] == ["7"]


@pytest.mark.parametrize("key", [f"{A}#u2", f"{PROJECT}/{A}#u2"], ids=["own key", "key of an earlier version"])
def test_a_rejected_record_is_sent_again_by_its_key(root: Path, key: str) -> None:
    write(root / FILE, said("u1"), said("u2"))
    gap = DetailGap(stream="messages", record_key=key, reason=Reason.RECORD_REJECTED)

    assert [record.key for record in retry(root, gap).records] == [f"{A}#u2"]


def test_a_place_outside_the_directory_is_never_read(root: Path) -> None:
    secret = root.parent / "auth.json"
    secret.write_bytes(encoded(said("u1")))
    for name in ("../auth.json", str(secret), f"{PROJECT}/%2E%2E/%2E%2E/auth.json"):
        gap = DetailGap(stream="messages", record_key="?", reason="parse_failed", detail_locator={"file": name})

        assert not retry(root, gap).records


def test_the_budget_of_items_is_kept(root: Path) -> None:
    write(root / FILE, b"broken", said("u1"), b"broken")
    gaps: list[GapToClose] = [to_close(gap, str(number)) for number, gap in enumerate(run(root).gaps)]

    outcome = retry(root, run(root).gaps[0], gaps=gaps, budget=Budget(items=1))

    assert [gap.gap_id for gap in outcome.gaps] == ["0"]
