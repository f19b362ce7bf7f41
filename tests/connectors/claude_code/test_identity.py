"""One identity: a project that is moved, and records that an earlier version held under other keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pdpp_worker.connector import Record
from tests.connectors.claude_code.logs import MAIN, PROJECT, A, Held, Outcome, run, said, to_close, write

FILE = f"{PROJECT}/{A}.jsonl"
SUB = f"{PROJECT}/{A}/subagents/agent-a1.jsonl"
RESULT = f"{PROJECT}/{A}/tool-results/r.txt"


def living(*outcomes: Outcome) -> dict[str, set[str]]:
    """The keys that are held after these runs, by stream."""
    held: dict[str, set[str]] = {stream: set() for stream in MAIN}
    for record in (record for outcome in outcomes for record in outcome.records):
        change = held[record.stream].add if record.op == "upsert" else held[record.stream].discard
        change(str(record.key))
    return held


def write_project(root: Path) -> None:
    """A session with a subagent, a line without uuid and a tool result."""
    write(root / FILE, said("u1"), {"type": "summary", "summary": "s"}, said("u2"))
    write(root / SUB, said("s1", isSidechain=True, agentId="a1"))
    write(root / RESULT, b"out")


def test_a_project_that_is_moved_brings_nothing_twice(root: Path) -> None:
    write_project(root)
    first = run(root)
    (root / PROJECT).rename(root / "-home-owner-elsewhere")
    second = run(root, first.state)

    assert second.records == []
    assert living(first, run(root)) == living(first)


def test_a_session_goes_on_where_its_project_was_moved_to(root: Path) -> None:
    write_project(root)
    first = run(root)
    (root / PROJECT).rename(root / "-moved")
    write(root / "-moved" / f"{A}.jsonl", said("u3"), append=True)

    second = run(root, first.state)

    assert second.ids("messages") == [f"{A}#u3"]
    assert Held().take(first.sent).take(second.sent)["sessions"][A]["message_count"] == 4


def test_a_project_that_is_there_twice_is_held_once(root: Path) -> None:
    write_project(root)
    first = run(root)
    for name in (FILE, SUB):
        write(root / name.replace(PROJECT, "-copy")).write_bytes((root / name).read_bytes())

    second = run(root, first.state)

    assert living(first, second) == living(first)
    assert run(root, second.state).records == []


def test_a_gap_of_a_moved_project_is_closed_by_the_file_that_moved(root: Path) -> None:
    write(root / FILE, said("u1"), b"broken")
    gap = run(root).gaps[0]
    (root / PROJECT).rename(root / "-moved")
    write(root / "-moved" / f"{A}.jsonl", said("u1"), said("u2"))

    outcome = run(root, gaps=[to_close(gap)], recovery_only=True)

    assert [record.key for record in outcome.records] == [f"{A}#u2"]
    assert not outcome.gaps


def as_the_version_before(outcome: Outcome, root: Path) -> dict[str, Any]:
    """The cursor with the keys of the version before: digests of project and session."""
    from connectors.claude_code import cursor
    from connectors.claude_code.tree import scan

    state = outcome.state["sessions"]
    names: dict[str, str] = {}
    for found in scan(root, lambda _: True).transcripts:
        group = cursor._digest(f"{found.project}/{found.session}")
        names[cursor.group_key(found)] = group
        names[cursor.file_key(found)] = group if found.is_main else group + cursor._digest(found.name)
    files = {names[key]: text for key, text in state["files"].items()}
    results = {names[key]: mark for key, mark in state["results"].items()}
    return {"sessions": state | {"version": 2, "files": files, "results": results, "broken": {}}}


def old_key(record: Record) -> str:
    """A record's key in the version before."""
    return str(record.key) if record.stream == "sessions" else f"{PROJECT}/{record.key}"


def test_records_of_the_version_before_move_to_their_new_keys(root: Path) -> None:
    write_project(root)
    first = run(root)
    held = {(record.stream, old_key(record)) for record in first.records}

    second = run(root, as_the_version_before(first, root))

    gone = {(record.stream, str(record.key)) for record in second.records if record.op == "delete"}
    assert gone == {(stream, key) for stream, key in held if stream != "sessions"}
    assert living(second) == living(first)
    assert Held().take(second.sent)["sessions"][A]["message_count"] == 3
    assert run(root, second.state).records == []


def test_lines_that_are_newer_than_the_old_cursor_have_no_old_keys(root: Path) -> None:
    write_project(root)
    first = run(root)
    before = as_the_version_before(first, root)
    write(root / FILE, said("u9"), append=True)

    second = run(root, before)

    assert not any(str(record.key).endswith("#u9") for record in second.records if record.op == "delete")
    assert f"{A}#u9" in second.ids("messages")
