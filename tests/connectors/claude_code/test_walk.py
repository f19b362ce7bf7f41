"""The forward walk over real files: only what is new, nothing twice, nothing lost, no gap silent."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from connectors.claude_code import walk
from pdpp_worker.connector import Reason
from tests.connectors.claude_code.logs import (
    MAIN,
    PROJECT,
    A,
    B,
    Held,
    run,
    said,
    uuids,
    write,
)

Drop = Callable[[], AbstractContextManager[None]]
FILE = f"{PROJECT}/{A}.jsonl"


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


def test_lines_of_unknown_types_are_collected(root: Path) -> None:
    write(root / FILE, {"type": "brand-new", "x": 1}, {"no": "type"}, {"type": 7})

    kept = Held().take(run(root).sent)["attachments"].values()

    assert [one["event_type"] for one in kept] == ["brand-new", "untyped", "untyped"]


def test_a_file_that_vanishes_is_no_gap_and_no_deletion(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    write(root / PROJECT / f"{B}.jsonl", said("b1", session=B))
    state = run(root).state

    path.unlink()
    after = run(root, state)

    assert after.records == []
    assert not after.gaps
    assert len(after.state["sessions"]["files"]) == 1


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
