"""The forward walk over real files: only what is new, nothing twice, nothing lost, no miss silent."""

from __future__ import annotations

import errno
import io
import json
import os
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from connectors.claude_code import books, transcript, walk
from connectors.claude_code.transcript import open_file
from pdpp_worker.connector import Reason, Record, State
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
    write,
)

Drop = Callable[[], AbstractContextManager[None]]
FILE = f"{PROJECT}/{A}.jsonl"


def uuids(outcome: Outcome) -> list[str]:
    """The uuids of the messages, in order."""
    return [key.rsplit("#", 1)[1] for key in outcome.ids("messages")]


def test_first_run_brings_everything_in_the_order_of_the_names(root: Path) -> None:
    write(root / "-b" / f"{B}.jsonl", said("b1", session=B))
    write(root / "-a" / f"{A}.jsonl", said("a1"), {"type": "summary", "summary": "s"}, said("a2"))
    write(root / "-a" / A / "subagents" / "agent-1.jsonl", said("s1", isSidechain=True))

    outcome = run(root)

    assert uuids(outcome) == ["a1", "a2", "s1", "b1"]
    assert len(outcome.ids("attachments")) == 1
    assert sorted(outcome.ids("sessions")) == [A, B]
    assert not outcome.gaps


def test_an_unchanged_tree_brings_nothing(root: Path) -> None:
    write(root / FILE, said("u1"))
    write(root / PROJECT / A / "tool-results" / "r.txt", b"out")

    assert run(root, run(root).state).records == []


def test_an_unchanged_file_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / FILE, said("u1"))
    state = run(root).state

    monkeypatch.setattr(walk, "open_file", None)

    assert run(root, state).records == []


def test_only_appended_lines_are_read(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    state = run(root).state

    write(path, said("u2"), append=True)

    assert uuids(run(root, state)) == ["u2"]


def test_a_touched_file_brings_nothing(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    state = run(root).state

    os.utime(path, (1, 1))

    assert run(root, state).records == []


def test_a_half_written_last_line_waits_for_its_other_half(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    half = encoded(said("u2"))
    with path.open("ab") as file:
        file.write(half[:40])
    first = run(root)
    with path.open("ab") as file:
        file.write(half[40:])

    assert uuids(first) == ["u1"]
    assert not first.gaps
    assert uuids(run(root, first.state)) == ["u2"]


def test_a_whole_last_line_without_its_newline_is_read_and_not_read_again(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    with path.open("ab") as file:
        file.write(encoded(said("u2")).rstrip(b"\n"))
    first = run(root)
    with path.open("ab") as file:
        file.write(b"\n" + encoded(said("u3")))

    assert uuids(first) == ["u1", "u2"]
    assert uuids(run(root, first.state)) == ["u3"]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([said("n1")], id="truncated"),
        pytest.param([said("n1"), said("n2"), said("n3"), said("n4")], id="rotated"),
        pytest.param([said("u1", "other"), said("u2"), said("n3")], id="edited"),
    ],
)
def test_a_file_that_is_not_what_it_was_is_replayed(root: Path, after: list[dict[str, Any]]) -> None:
    path = write(root / FILE, said("u1"), said("u2"))
    state = run(root).state

    write(path, *after)

    assert uuids(run(root, state)) == [line["uuid"] for line in after]


def test_a_full_refresh_reads_everything(root: Path) -> None:
    write(root / FILE, said("u1"))
    state = run(root).state

    assert uuids(run(root, None)) == ["u1"]
    assert uuids(run(root, state | {"sessions": {"version": 99}})) == ["u1"]


def test_a_stream_asked_for_later_is_read_from_the_start(root: Path) -> None:
    write(root / FILE, said("u1"), {"type": "summary", "summary": "s"})
    first = run(root, None, ("sessions", "messages"))

    assert len(run(root, first.state, MAIN).ids("attachments")) == 1


def test_a_cursor_that_cannot_be_read_costs_a_replay_only(root: Path) -> None:
    write(root / FILE, said("u1"))
    state = run(root).state
    files = dict.fromkeys(state["sessions"]["files"], "rubbish")

    broken: dict[str, Any] = {"sessions": state["sessions"] | {"files": files, "results": 5}}

    assert uuids(run(root, broken)) == ["u1"]


def test_the_same_uuid_in_two_files_is_two_records(root: Path) -> None:
    write(root / FILE, said("u1", "first"))
    write(root / PROJECT / f"{B}.jsonl", said("u1", "second", session=B))

    held = Held().take(run(root).sent)["messages"]

    assert sorted((one["session_id"], one["content"]) for one in held.values()) == [(A, "first"), (B, "second")]


def test_broken_lines_are_gaps_at_their_offset_and_the_rest_is_read(root: Path) -> None:
    good = encoded(said("u1"))
    write(root / FILE, said("u1"), b"{broken", b"[]", said("u2"), b"nope", said("u3"))

    outcome = run(root)

    assert uuids(outcome) == ["u1", "u2", "u3"]
    assert [gap.reason for gap in outcome.gaps] == [Reason.PARSE_FAILED] * 2
    assert outcome.gaps[0].record_key == f"{FILE}@{len(good)}"
    assert outcome.gaps[0].detail_locator == {"file": FILE, "offset": len(good), "end": len(good) + 11, "lines": 2}
    assert run(root, outcome.state).sent[-1] == outcome.sent[-1]


def test_a_line_beyond_the_limit_is_a_gap_and_the_next_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MAX_LINE_BYTES", 1000)
    path = write(root / FILE, said("u1", "x" * 5000), said("u2"))

    outcome = run(root)
    write(path, said("u3"), append=True)

    assert uuids(outcome) == ["u2"]
    assert [gap.record_key for gap in outcome.gaps] == [f"{FILE}@0"]
    assert uuids(run(root, outcome.state)) == ["u3"]


def test_a_file_of_rubbish_is_one_gap(root: Path) -> None:
    write(root / FILE, *[b"{", b'"pretty": 1', b"}"] * 500)

    gaps = run(root).gaps

    assert len(gaps) == 1
    assert gaps[0].detail_locator is not None
    assert gaps[0].detail_locator["lines"] == 1500


def test_lines_of_unknown_types_are_collected(root: Path) -> None:
    write(root / FILE, {"type": "brand-new", "x": 1}, {"no": "type"}, {"type": 7})

    kept = Held().take(run(root).sent)["attachments"].values()

    assert [one["event_type"] for one in kept] == ["brand-new", "untyped", "untyped"]


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


def test_a_file_that_vanishes_is_no_gap_and_no_deletion(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    write(root / PROJECT / f"{B}.jsonl", said("b1", session=B))
    state = run(root).state

    path.unlink()
    after = run(root, state)

    assert after.records == []
    assert not after.gaps
    assert len(after.state["sessions"]["files"]) == 1


def test_a_missing_projects_directory_is_a_skip_that_says_what_to_set(root: Path) -> None:
    outcome = run(root / "nowhere")

    assert {one.stream for one in outcome.skips} == set(MAIN)
    assert all("projects_dir" in one.message for one in outcome.skips)
    assert not outcome.state


def test_filters_that_leave_nothing_are_a_skip(root: Path) -> None:
    write(root / FILE, said("u1"))

    assert all("include" in one.message for one in run(root, include="typo").skips)
    assert run(root, include="typo").skips


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"include": "site"}, ["a1"]),
        ({"include": "site, shop"}, ["b1", "a1"]),
        ({"exclude": "site"}, ["b1"]),
        ({"include": "owner", "exclude": "shop"}, ["a1"]),
    ],
)
def test_projects_are_chosen_by_their_directory(root: Path, settings: dict[str, Any], expected: list[str]) -> None:
    write(root / "-home-owner-site" / f"{A}.jsonl", said("a1"))
    write(root / "-home-owner-shop" / f"{B}.jsonl", said("b1", session=B))

    assert uuids(run(root, **settings)) == expected


def test_without_the_sessions_stream_nothing_can_keep_the_place(root: Path) -> None:
    write(root / FILE, said("u1"))
    outcome = run(root, None, ("messages",))

    assert [one.reason for one in outcome.skips] == [Reason.SCOPE_NOT_SUPPORTED]
    assert outcome.records == []


def test_sessions_alone_answer_for_what_cannot_be_read(root: Path) -> None:
    write(root / FILE, said("u1"), b"broken")
    outcome = run(root, None, ("sessions",))

    assert [gap.stream for gap in outcome.gaps] == ["sessions"]
    assert outcome.ids("sessions") == [A]


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
    assert first[f"{PROJECT}/{A}/tool-results/raw.bin"]["content_base64"] == "//4="


def test_a_tool_result_put_back_with_an_old_time_is_found(root: Path) -> None:
    results = root / PROJECT / A / "tool-results"
    write(results / "a.txt", b"a")
    state = run(root).state

    os.utime(write(results / "b.txt", b"b"), (1000, 1000))

    assert any(key.endswith("b.txt") for key in run(root, state).ids("attachments"))


def test_the_cursor_holds_no_path_and_few_bytes_a_file(root: Path) -> None:
    for number in range(200):
        session = f"{number:08x}-1111-4222-8333-444444444444"
        write(root / PROJECT / f"{session}.jsonl", *(said(f"u{n}", "x" * 4000, session=session) for n in range(20)))

    text = json.dumps(run(root).state["sessions"], separators=(",", ":"))

    assert "owner" not in text
    assert len(text) < 80 * 200


def test_states_come_by_work_done_and_not_by_file(root: Path) -> None:
    for number in range(3000):
        session = f"{number:08x}-1111-4222-8333-444444444444"
        write(root / PROJECT / f"{session}.jsonl", said("u1", session=session))

    outcome = run(root)

    assert sum(isinstance(message, State) for message in outcome.sent) == 2
    assert len(outcome.ids("messages")) == 3000


def test_a_state_in_the_middle_of_a_file_spares_what_came_before(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "RECORDS_PER_STATE", 4)
    write(root / FILE, *(said(f"u{n}") for n in range(10)))

    state = next(message for message in stream_messages(root) if isinstance(message, State))

    assert uuids(run(root, {"sessions": state.cursor})) == [f"u{n}" for n in range(4, 10)]


@pytest.mark.parametrize("files", [0, 4_999, 5_000, 50_000])
def test_a_state_never_costs_more_than_a_fixed_share_of_the_work_before_it(files: int) -> None:
    due = books.Books("sessions", files=files, bytes=books.BYTES_PER_STATE)

    bytes_a_state = 75 * files
    spared = not due.is_due

    assert spared or bytes_a_state <= books.BYTES_PER_STATE / 20


def test_memory_does_not_grow_with_a_file_or_a_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MAX_LINE_BYTES", 500_000)
    line = encoded(said("u1", "x" * 4000))
    with write(root / FILE).open("wb") as file:
        for _ in range(2500):
            file.write(line)
        for _ in range(10):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + line)
    tracemalloc.start()

    count = sum(isinstance(message, Record) for message in stream_messages(root))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count > 2500
    assert peak < 8_000_000
